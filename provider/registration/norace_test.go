//go:build !race

package registration_test

const oneIn = 1
