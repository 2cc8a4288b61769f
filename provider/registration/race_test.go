// SPDX-License-Identifier: Apache-2.0

//go:build race

package registration_test

// oneIn is how many members of the metadata stand for one that is tested. The table runs in
// one goroutine, where the race detector finds nothing. ./test/all also runs it whole.
const oneIn = 7
