// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
)

// none reads the client_id of a public client, which has no secret (RFC 6749
// §3.2.1). The registry refuses it for a confidential client.
func none(in endpoint.Parameters) (Credentials, error) {
	given := Credentials{ClientID: in.Get("client_id"), Method: client.AuthNone}
	if given.ClientID == "" {
		return given, errUnnamed
	}
	return given, nil
}
