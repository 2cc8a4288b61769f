// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/redact"
)

// post reads client_secret_post: client_id and secret in the body (RFC 6749
// §2.3.1).
func post(in endpoint.Parameters) (Credentials, error) {
	given := Credentials{ClientID: in.Get("client_id"), Secret: redact.Text(in.Get("client_secret")), Method: client.AuthPost}
	if given.ClientID == "" {
		return given, errUnnamed
	}
	return given, nil
}
