// SPDX-License-Identifier: Apache-2.0

//go:build !race

package registration_test

const oneIn = 1
