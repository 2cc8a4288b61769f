// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// frontClients are clients of the implicit and the hybrid flow.
const frontClients = `
- client_id: implicit
  name: Implicit
  public: true
  redirect_uris: ["https://implicit.example/cb?own=query"]
  response_types: [id_token, id_token token, code id_token token]
- client_id: asking
  name: Asking
  public: true
  consent: always
  redirect_uris: ["https://asking.example/cb"]
  response_types: [id_token token]
`

// frontRequest returns an authorization request of one of them.
func frontRequest(server *harness.Server, clientID, redirectURI string, pairs ...string) string {
	v := url.Values{
		"client_id": {clientID}, "redirect_uri": {redirectURI}, "response_type": {"id_token token"},
		"scope": {"openid phone"}, "state": {"a state & more"}, "nonce": {"n"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return server.Issuer + "/authorize?" + v.Encode()
}

// inFragment returns the parameters of a response in the fragment of the redirect URI, which
// must be as it was registered.
func inFragment(t *testing.T, what string, left *url.URL, redirectURI string) url.Values {
	t.Helper()
	if left == nil {
		t.Fatalf("%s: did not leave", what)
	}
	at, fragment, _ := strings.Cut(left.String(), "#")
	params, err := url.ParseQuery(fragment)
	if at != redirectURI || err != nil || params.Get("state") != "a state & more" {
		t.Fatalf("%s: left to %s, want a fragment with the state at %s", what, left, redirectURI)
	}
	return params
}

// Tokens and errors of the implicit and the hybrid flow, from the built server: in the
// fragment or in a form, after a push, after consent and after a decline.
func TestResponseTypesOfTheBuiltServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "clients.yaml")
	if err := os.WriteFile(file, []byte(frontClients), 0o600); err != nil {
		t.Fatal(err)
	}
	server := harness.Dev(t, "--clients", file)
	const implicit, asking = "https://implicit.example/cb?own=query", "https://asking.example/cb"
	browser := harness.NewBrowser(t, server.Issuer)

	page := browser.Submit(browser.Get(frontRequest(server, "implicit", implicit)), harness.Number(5))
	left, _ := browser.Follow(page, harness.Timeout)
	given := inFragment(t, "after a push", left, implicit)
	token := given.Get("access_token")
	if token == "" || given.Get("id_token") == "" || given.Get("token_type") != "Bearer" || given.Get("scope") != "openid phone" || given.Has("code") {
		t.Errorf("after a push: got %v, want an ID token and an access token", given)
	}
	r, err := http.NewRequest(http.MethodGet, server.Issuer+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	info, err := http.DefaultClient.Do(r)
	if err != nil || info.StatusCode != http.StatusOK {
		t.Fatalf("userinfo: got %v, %v, want 200", info, err)
	}
	info.Body.Close()

	// Silently, by form post: the page is for that response alone.
	page = browser.Get(frontRequest(server, "implicit", implicit, "response_type", "token code id_token", "response_mode", "form_post", "prompt", "none"))
	action := regexp.MustCompile(`<form id="formpost" method="post" action="([^"]*)"`).FindStringSubmatch(page.Body)
	if action == nil || html.UnescapeString(action[1]) != implicit {
		t.Fatalf("by form post: got %d\n%s\nwant a form to %s", page.Status, page.Body, implicit)
	}
	for _, name := range []string{"code", "id_token", "access_token", "state", "iss"} {
		if !strings.Contains(page.Body, `name="`+name+`"`) {
			t.Errorf("by form post: got no %s", name)
		}
	}
	csp := page.Header.Get("Content-Security-Policy")
	if page.Header.Get("Cache-Control") != "no-store" || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "form-action https:;") || page.Header.Get("Referrer-Policy") != "strict-origin" {
		t.Errorf("by form post: got the headers %v, want no-store and a strict policy", page.Header)
	}

	// A consent prompt in between keeps type and mode, on denial too.
	for decision, wants := range map[string]string{"deny": "error", "allow": "access_token"} {
		page = browser.Get(frontRequest(server, "asking", asking))
		if !page.Has("consent") {
			t.Fatalf("%s: got %d, want the consent prompt\n%s", decision, page.Status, page.Body)
		}
		left, _ = browser.Follow(decide(browser, page, decision), 0)
		if given := inFragment(t, decision, left, asking); given.Get(wants) == "" || given.Has("error") != (wants == "error") {
			t.Errorf("%s: got %v, want %s", decision, given, wants)
		}
	}

	// What is refused, and what the user declined, comes in the fragment as well.
	for want, pairs := range map[string][]string{
		"login_required":            {"prompt", "none"},
		"invalid_request":           {"response_mode", "query"},
		"unauthorized_client":       {"response_type", "code token"},
		"unsupported_response_type": {"response_type", "token"},
		"invalid_scope":             {"scope", "phone"},
		"invalid_request_object":    {"request", "a.b.c"},
		"request_uri_not_supported": {"request_uri", "https://implicit.example/request"},
	} {
		other := harness.NewBrowser(t, server.Issuer)
		left, _ := other.Follow(other.Get(frontRequest(server, "implicit", implicit, pairs...)), 0)
		if given := inFragment(t, want, left, implicit); given.Get("error") != want || given.Get("iss") != server.Issuer {
			t.Errorf("%s: got %v", want, given)
		}
	}
	decliner := harness.NewBrowser(t, server.Issuer)
	page = decliner.Submit(decliner.Get(frontRequest(server, "implicit", implicit)), harness.Number(8))
	_, page = decliner.Follow(page, harness.Timeout)
	leave := regexp.MustCompile(`action="([^"]*/leave)"`).FindStringSubmatch(page.Body)
	if leave == nil {
		t.Fatalf("declined: got %d at %s, want a way back\n%s", page.Status, page.URL, page.Body)
	}
	target, err := url.Parse(leave[1])
	if err != nil {
		t.Fatal(err)
	}
	page = decliner.Post(server.Issuer+target.Path, nil)
	onward := regexp.MustCompile(`content="0;url=([^"]*)"`).FindStringSubmatch(page.Body)
	if onward == nil {
		t.Fatalf("leaving: got %d\n%s\nwant a page that leads on", page.Status, page.Body)
	}
	left, err = url.Parse(html.UnescapeString(onward[1]))
	if err != nil {
		t.Fatal(err)
	}
	if given := inFragment(t, "declined", left, implicit); given.Get("error") != "access_denied" {
		t.Errorf("declined: got %v, want access_denied", given)
	}
	for _, secret := range []string{token, given.Get("id_token"), "access_token="} {
		if strings.Contains(server.Log(), secret) {
			t.Errorf("the log has %.20s", secret)
		}
	}
}
