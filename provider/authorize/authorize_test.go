// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"calleridp/keys"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
)

// Crawlers can open the page as often as they like.
func TestInvariant1_AuthorizeWritesNothing(t *testing.T) {
	w := testworld.New(t)
	w.WantNothingStored("8000 authorization requests", func() {
		for range 2000 {
			for _, prompt := range []string{"", "none", "login"} {
				if set := w.Authorize("app", "prompt", prompt).Header.Get("Set-Cookie"); set != "" {
					t.Fatalf("prompt=%s: got the cookie %q, want none", prompt, set)
				}
			}
			w.Authorize("app", "redirect_uri", "https://evil.example")
		}
	})
}

// A HEAD request has no effect, and other methods are refused.
func TestAuthorizeHead(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	w.WantHeadWithoutEffect("/authorize?"+testworld.AuthRequest("app").Encode(), session)
	a := w.Do(httptest.NewRequest("DELETE", testworld.Issuer+"/authorize", nil))
	if a.StatusCode != 405 || a.Header.Get("Allow") == "" {
		t.Errorf("DELETE: got %v, Allow %q, want 405 and the methods", a, a.Header.Get("Allow"))
	}
}

// A form of another site arrives without the session cookie. One of our own pages
// sends it again, and nothing of it gets into a URL, where a phone number would be
// in logs and histories.
func TestInvariant10_ACrossSitePostGetsIntoNoURL(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", testworld.AllScopes)
	for what, request := range map[string]url.Values{
		"plain":           testworld.AuthRequest("app", "prompt", "none"),
		"a login_hint":    testworld.AuthRequest("app", "login_hint", testworld.Number),
		"a hint":          testworld.AuthRequest("app", "id_token_hint", got.ID, "prompt", "none"),
		"a long state":    testworld.AuthRequest("app", "state", strings.Repeat("x", 4000)),
		"something of it": testworld.AuthRequest("app", "whatever", testworld.Number),
	} {
		t.Run(what, func(t *testing.T) {
			a := w.In(t).Post("/authorize", request, testworld.CrossSite)
			view := a.WantPage(t, "POST from another site", "sendagain")
			again := url.Values{}
			for _, field := range view["Fields"].([]any) {
				f := field.(map[string]any)
				again.Set(f["Name"].(string), f["Value"].(string))
			}
			if a.Header.Get("Location") != "" || view["Action"] != "/authorize" || view["FormAction"] != "https://app.example" ||
				!reflect.DeepEqual(again, request) {
				t.Errorf("got %v, want a page that posts the same request to /authorize", a)
			}
			sent := w.Post("/authorize", again, testworld.Cookie(session), testworld.Header("Sec-Fetch-Site", "same-origin"))
			if sent.Code() == "" {
				t.Errorf("the same with the session: got %v, want a code", sent)
			}
			// A browser that has no session gets no further page of the kind.
			none := w.Post("/authorize", again, testworld.Header("Sec-Fetch-Site", "same-origin"))
			if page, _ := none.Page(); page == "sendagain" {
				t.Errorf("without a session: got %v again", none)
			}
		})
	}
	// A frame has no cookies at all, and may show no page of ours.
	w.Post("/authorize", testworld.AuthRequest("app", "prompt", "none"), testworld.CrossSite, testworld.Header("Sec-Fetch-Dest", "iframe")).
		WantStatus(t, "prompt=none in a frame", 303)
	w.Post("/authorize", nil, testworld.Header("Content-Type", "application/json")).
		WantStatus(t, "a body that is no form", 400)
	// The same kind: a sign-out from another site.
	out := w.Post("/logout", url.Values{"id_token_hint": {got.ID}}, testworld.CrossSite)
	if to := out.Header.Get("Location"); strings.Contains(to, got.ID) {
		t.Errorf("signing out: got a redirect to %s, want no hint in it", to)
	}
}

// A HEAD request shows no consent prompt either, which holds a code.
func TestAuthorizeHeadWithConsent(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	target := "/authorize?" + testworld.AuthRequest("third").Encode()
	w.WantHeadWithoutEffect(target, session)
	r := httptest.NewRequest("HEAD", testworld.Issuer+target, nil)
	r.AddCookie(session)
	if a := w.Do(r); a.Text != "" {
		t.Errorf("got %v, want no page", a)
	}
}

// A login_hint is often a phone number: no form carries it, sealed or not, and the
// attempt keeps none.
func TestInvariant10_ALoginHintIsNotSealed(t *testing.T) {
	w := testworld.New(t)
	page := w.Authorize("app", "login_hint", testworld.OtherNumber)
	var sealed map[string]any
	if err := endpoint.Unseal(testworld.Master(), keys.PurposeAuthorizationRequest, testworld.SealedRequest(t, page, "signin"), &sealed); err != nil {
		t.Fatal(err)
	}
	a, err := w.Engine.Get(t.Context(), w.Submit(page, testworld.Number), testworld.Browser)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the form": fmt.Sprint(sealed), "the attempt": string(a.Request)} {
		if !strings.Contains(text, "the-nonce") || strings.Contains(text, testworld.OtherNumber[1:]) {
			t.Errorf("%s: got %s, want the request without login_hint", what, text)
		}
	}
}

// No page of the endpoint lets a referrer out, which would carry the whole request.
func TestAuthorizationPagesSendNoReferrer(t *testing.T) {
	w := testworld.New(t)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	for what, a := range map[string]testworld.Response{
		"sign-in":  w.Authorize("app"),
		"consent":  w.AuthorizeWith(session, "third"),
		"an error": w.Authorize("nobody"),
		"a code":   w.AuthorizeWith(session, "app"),
	} {
		if got := a.Header.Get("Referrer-Policy"); got != "no-referrer" {
			t.Errorf("%s: got Referrer-Policy %q, want no-referrer", what, got)
		}
	}
}
