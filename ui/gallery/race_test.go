// SPDX-License-Identifier: Apache-2.0

//go:build race

package gallery

// oneIn is how many pages stand for one that is drawn. The race detector finds nothing in
// one goroutine, and ./test/all also draws them all, without it.
const oneIn = 7
