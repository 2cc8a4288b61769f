// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"net/url"
	"testing"

	"calleridp/provider/internal/testworld"
)

// A parameter of another endpoint is an unknown one, and ignored (RFC 6749 §3.2). Who
// the client is comes before what is wrong with its request (RFC 7662 §2.3).
func TestParametersOfOtherEndpoints(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("app", "openid")
	basic := testworld.Basic("app", testworld.Secret)
	revocation := url.Values{"token": {got.Access}, "grant_type": {"nonsense"}}
	w.Post("/revoke", revocation, basic).WantStatus(t, "revoking with a grant_type", 200)
	w.Userinfo(got.Access).WantStatus(t, "userinfo afterwards", 401)
	w.Post("/introspect", url.Values{"token": {got.Access}, "grant_type": {"nonsense"}}, basic).WantStatus(t, "introspection with a grant_type", 200)
	for what, change := range map[string]testworld.Change{
		"an unknown client":          testworld.Basic("stranger", "x"),
		"a wrong secret":             testworld.Basic("app", "x"),
		"a broken escape in a Basic": testworld.Header("Authorization", "Basic YXBwOiV6eg=="), // app:%zz
	} {
		w.Post("/introspect", nil, change).WantOAuthError(t, "introspection without a token by "+what, 401, "invalid_client")
		w.Post("/revoke", url.Values{"token": {"x"}}, change).WantOAuthError(t, "revocation by "+what, 401, "invalid_client")
	}
	w.Post("/introspect", nil, basic).WantOAuthError(t, "introspection without a token", 400, "invalid_request")
}
