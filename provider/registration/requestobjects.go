// SPDX-License-Identifier: Apache-2.0

package registration

import "calleridp/provider/client"

// RequestObjects is what a client may say of its request objects (OpenID Connect Dynamic
// Client Registration §2, RFC 9101 §10.5).
type RequestObjects struct {
	Alg      string   `json:"request_object_signing_alg,omitempty"`
	Required bool     `json:"require_signed_request_object,omitempty"`
	URIs     []string `json:"request_uris,omitempty"`
}

// requestObjects reads these members. The registry validates them.
func (in *members) requestObjects() client.RequestObjects {
	return client.RequestObjects{
		Alg:      in.text("request_object_signing_alg"),
		Required: in.flag("require_signed_request_object"),
		URIs:     in.texts("request_uris"),
	}
}
