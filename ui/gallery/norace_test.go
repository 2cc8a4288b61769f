//go:build !race

package gallery

const oneIn = 1
