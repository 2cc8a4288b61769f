// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// Two pairwise clients of different sectors cannot tell that they share a user or
// a session, whatever they are given (OpenID Connect Core §8.1): nothing in their
// ID tokens, token responses and introspections is the same, but what is no
// identifier. Clients of one sector can.
func TestThreat_SectorsCannotBeLinked(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) {
		for id, sector := range map[string]string{"pair-too": "too.example", "pair-same": "pair.example"} {
			c.Clients = append(c.Clients, client.Client{
				ID:           id,
				SecretHashes: []client.SecretHash{client.HashSecret(testworld.Secret)},
				Pairwise:     true,
				SectorHost:   sector,
				RedirectURIs: []string{"https://" + id + ".example/cb"},
			})
		}
	})
	_, session := w.Tokens("app", "openid")
	// seen returns every text that a client is given about the user, by where it is.
	seen := func(id string) map[string]string {
		code := w.Code(session, id, "redirect_uri", redirectURI(id), "scope", "openid offline_access")
		form := testworld.CodeRequest(id, code)
		form.Set("redirect_uri", redirectURI(id))
		tokens := testworld.TokensIn(t, w.Post("/token", form, testworld.Basic(id, testworld.Secret)))
		next := testworld.TokensIn(t, w.Refresh(id, tokens.Refresh))
		all := map[string]string{}
		for where, object := range map[string]map[string]any{
			"ID token":              tokens.Claims(t),
			"refreshed ID token":    next.Claims(t),
			"response":              tokens.JSON(),
			"refresh response":      next.JSON(),
			"userinfo":              w.Userinfo(tokens.Access).JSON(),
			"access introspection":  w.Introspect(tokens.Access, id, testworld.Secret).JSON(),
			"refresh introspection": w.Introspect(next.Refresh, id, testworld.Secret).JSON(),
		} {
			for name, value := range object {
				if text, ok := value.(string); ok {
					all[where+" "+name] = text
				}
			}
		}
		for _, name := range []string{"ID token sid", "refreshed ID token sid", "response session_state", "refresh response session_state", "access introspection sid", "refresh introspection sid"} {
			if all[name] == "" || all[name] != all["ID token sid"] {
				t.Errorf("%s: %s is %q, want the sid of the ID token, %q", id, name, all[name], all["ID token sid"])
			}
		}
		return all
	}
	common := map[string]bool{
		testworld.Issuer: true, "Bearer": true, "openid offline_access": true, testworld.AuthRequest("app").Get("nonce"): true,
		w.Claim(session, "acr"): true,
	}
	pair, too, public, same := seen("pair"), seen("pair-too"), seen("app"), seen("pair-same")
	for what, other := range map[string]map[string]string{"another sector": too, "a public client": public} {
		values := map[string]string{}
		for where, text := range other {
			values[text] = where
		}
		for where, text := range pair {
			if its, linked := values[text]; linked && !common[text] {
				t.Errorf("%s: %s is that client's %s, %q", what, where, its, text)
			}
		}
	}
	if pair["ID token sid"] != same["ID token sid"] || pair["ID token sub"] != same["ID token sub"] {
		t.Errorf("clients of one sector: got %q and %q, want one user and session", pair, same)
	}
}

func redirectURI(id string) string {
	if known := testworld.RedirectURI(id); known != "" {
		return known
	}
	return "https://" + id + ".example/cb"
}

// The sid in a pairwise client's hint leads back to the session, at the client's
// own sector only.
func TestPairwiseSidSignsOut(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("pair", "openid")
	if strings.Contains(got.ID, w.Claim(session, "sid")) {
		t.Fatal("the ID token has the session's own sid")
	}
	bye := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://pair.example/bye"}}
	w.Get("/logout?"+bye.Encode()).WantRedirect(t, "a hint without a cookie", "https://pair.example/bye")
	if w.SignedIn(session) {
		t.Error("the session of the hint lives")
	}
}
