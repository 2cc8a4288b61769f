// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"net/http"
	"net/url"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/redact"
)

// basic reads client_secret_basic: client_id and secret, each form-encoded, in
// the Authorization header (RFC 6749 §2.3.1). client_id may stand in the body as
// well.
func basic(r *http.Request, header []string, in endpoint.Parameters) (Credentials, error) {
	inBody := in.Get("client_id")
	user, password, ok := r.BasicAuth()
	id, err := url.QueryUnescape(user)
	if len(header) > 1 || !ok || err != nil || id == "" {
		return Credentials{ClientID: inBody}, endpoint.InvalidClient("the Authorization header is not Basic with a client_id")
	}
	given := Credentials{ClientID: id}
	switch {
	case in.Has("client_secret"):
		return given, endpoint.InvalidRequest("the client authenticates in more than one way (RFC 6749 section 2.3)")
	case inBody != "" && inBody != id:
		return given, endpoint.InvalidRequest("client_id differs from the Authorization header's")
	}
	secret, err := url.QueryUnescape(password)
	if err != nil {
		return given, endpoint.InvalidClient("client authentication failed")
	}
	given.Secret = redact.Text(secret)
	given.Method = client.AuthBasic
	if secret == "" { // how some public clients send their client_id
		given.Method = client.AuthNone
	}
	return given, nil
}
