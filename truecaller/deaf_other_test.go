// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package truecaller

import "testing"

// deafAddress is an address without a host: it is reserved for documentation
// (RFC 5737).
func deafAddress(*testing.T) string { return "192.0.2.1:443" }
