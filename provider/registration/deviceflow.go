// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"slices"

	"calleridp/provider/client"
)

const grantDevice = "urn:ietf:params:oauth:grant-type:device_code"

// usualTypes returns the response_types of a client that names none: code (RFC 7591 §2),
// or none if its devices alone sign users in, which have no use for one (RFC 8628).
func usualTypes(grants []string) []string {
	if slices.Contains(grants, grantDevice) && !slices.Contains(grants, grantCode) {
		return nil
	}
	return []string{string(client.TypeCode)}
}
