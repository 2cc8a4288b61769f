// SPDX-License-Identifier: Apache-2.0

//go:build race

package phone

// oneIn is how many members of a table stand for one that is tested. The tables run in
// one goroutine, where the race detector finds nothing and takes twenty times as long.
// ./test/all also runs them whole, without it.
const oneIn = 13
