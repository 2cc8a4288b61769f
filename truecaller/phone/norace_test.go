//go:build !race

package phone

const oneIn = 1
