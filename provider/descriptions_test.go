package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An error_description has RFC 6749 §5.2's characters alone, and so is fit for a
// header, too (RFC 6750 §3).
func TestErrorDescriptionsArePlain(t *testing.T) {
	w, _ := nativeWorld(t, nil)
	twice := asked("app")
	twice.Add("nonce", "another")
	_, query := w.get("/authorize?" + twice.Encode()).to()
	said := map[string]string{"a parameter twice at /authorize": query.Get("error_description")}
	for what, a := range map[string]answer{
		"a secret in the URL":        w.post("/token?code=x", exchanged("native")),
		"a parameter twice":          w.post("/token", url.Values{"grant_type": {"a", "b"}, "client_id": {"native"}}),
		"two ways to authenticate":   w.post("/token", exchanged("backend", "client_secret", secret), basic("backend", secret)),
		"another grant type":         w.post("/token", url.Values{"grant_type": {"password"}, "client_id": {"native"}}),
		"a short verifier":           w.post("/token", exchanged("native", "code_verifier", "short")),
		"another subject_token_type": w.post("/token", exchanged("native", "subject_token_type", "x\"y\\z\u00e9")),
		"a client that is not":       w.post("/token", exchanged("public")),
	} {
		said[what], _ = a.json()["error_description"].(string)
	}
	both := w.post("/userinfo", url.Values{"access_token": {"x"}}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer y") })
	_, challenge, _ := strings.Cut(both.Header.Get("WWW-Authenticate"), `error_description="`)
	said["a token in two ways"] = strings.TrimSuffix(challenge, `"`)
	for what, text := range said {
		if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Errorf("%s: %q", what, text)
		}
	}
}
