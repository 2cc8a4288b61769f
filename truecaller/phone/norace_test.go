// SPDX-License-Identifier: Apache-2.0

//go:build !race

package phone

const oneIn = 1
