// SPDX-License-Identifier: Apache-2.0

//go:build !race

package gallery

const oneIn = 1
