// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

// An error_description has the characters of RFC 6749 §5.2 alone, which a header
// may have, too (RFC 6750 §3).
func TestErrorDescriptionsArePlain(t *testing.T) {
	w, _ := testworld.NewNative(t)
	twice := testworld.AuthRequest("app")
	twice.Add("nonce", "another")
	_, query := w.Get("/authorize?" + twice.Encode()).Redirect()
	exchange := func(target, clientID string, pairs ...string) testworld.Response {
		return w.Post(target, testworld.ExchangeRequest(clientID, pairs...))
	}
	twoWays := testworld.ExchangeRequest("backend", "client_secret", testworld.Secret)
	descriptions := map[string]string{"a parameter twice at /authorize": query.Get("error_description")}
	for what, a := range map[string]testworld.Response{
		"a secret in the URL":         exchange("/token?code=x", "native"),
		"a parameter twice":           w.Post("/token", url.Values{"grant_type": {"a", "b"}, "client_id": {"native"}}),
		"two ways to authenticate":    w.Post("/token", twoWays, testworld.Basic("backend", testworld.Secret)),
		"another grant type":          w.Post("/token", url.Values{"grant_type": {"password"}, "client_id": {"native"}}),
		"a short verifier":            exchange("/token", "native", "code_verifier", "short"),
		"another subject_token_type":  exchange("/token", "native", "subject_token_type", "x\"y\\z\u00e9"),
		"a client that is not native": exchange("/token", "public"),
	} {
		descriptions[what] = a.Member("error_description")
	}
	both := w.Post("/userinfo", url.Values{"access_token": {"x"}}, testworld.Bearer("y"))
	_, challenge, _ := strings.Cut(both.Header.Get("WWW-Authenticate"), `error_description="`)
	descriptions["a token in two ways"] = strings.TrimSuffix(challenge, `"`)
	for what, text := range descriptions {
		t.Run(what, func(t *testing.T) {
			unfit := func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
			if text == "" || strings.ContainsFunc(text, unfit) {
				t.Errorf("description: got %q, want printable ASCII without quotes and backslashes", text)
			}
		})
	}
}
