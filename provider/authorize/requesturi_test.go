// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"calleridp/provider/internal/testworld"
)

const requestURI = "https://jwt.example/request"

// hashOf returns the fragment that names contents (OpenID Connect Core §6.2).
func hashOf(contents string) string {
	sum := sha256.Sum256([]byte(contents))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// An object that the client publishes counts as one that it sends, and is read once: a
// sign-in goes on from what was read.
func TestSignInByARequestURI(t *testing.T) {
	published := &testworld.Published{}
	w := testworld.New(t, publishing(published, requestURI))
	published.Publish(requestURI, testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt", "state", "inner"))+"\n")
	f, session := w.SignIn(url.Values{"client_id": {"keyjwt"}, "request_uri": {requestURI}}, testworld.Number)
	if f.Response.RedirectURI != testworld.RedirectURI("keyjwt") || testworld.Param(f.Response, "state") != "inner" || testworld.Param(f.Response, "code") == "" {
		t.Errorf("got %+v, want a code with the state inner", f.Response)
	}
	published.Publish(requestURI, "")
	d := w.Get("/authorize?"+url.Values{"client_id": {"keyjwt"}, "request_uri": {requestURI}}.Encode(), session).Delivered()
	if !d.Has("code") || !slices.Equal(published.Asked(), []string{requestURI}) {
		t.Errorf("a moment later: got %+v after fetching %v, want a code after one fetch", d, published.Asked())
	}
}

// Nothing but what is registered is fetched, with a fragment as it is registered, and what is
// there must be a request object.
func TestRequestURIs(t *testing.T) {
	const pinned = "https://jwt.example/pinned"
	published := &testworld.Published{}
	w := testworld.New(t, publishing(published, requestURI, pinned+"#one", "https://jwt.example/foreign", "https://jwt.example/none", "https://jwt.example/refused"))
	object := testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt", "state", "inner"))
	for _, at := range []string{requestURI, pinned, requestURI + "/other", "http://jwt.example/request", "https://evil.example/"} {
		published.Publish(at, object)
	}
	published.Publish("https://jwt.example/foreign", testworld.SignedObject(t, "secretjwt", testworld.ObjectMembers("secretjwt")))
	published.Publish("https://jwt.example/refused", testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt", "state", "inner", "aud", "x")))
	for uri, want := range map[string]string{
		requestURI:                           "",
		requestURI + "#" + hashOf(object):    "",
		requestURI + "#" + hashOf("another"): "",
		pinned + "#one":                      "",
		pinned + "#two":                      "invalid_request_uri",
		pinned:                               "invalid_request_uri",
		requestURI + "/other":                "invalid_request_uri",
		requestURI + "?a=b":                  "invalid_request_uri",
		"http://jwt.example/request":         "invalid_request_uri",
		"https://evil.example/":              "invalid_request_uri",
		"urn:example:1":                      "invalid_request_uri",
		"https://jwt.example/none":           "invalid_request_uri",
		"https://jwt.example/foreign":        "invalid_request_object",
		"https://jwt.example/refused":        "invalid_request_object",
	} {
		a := w.Authorize("keyjwt", "request_uri", uri)
		page, _ := a.Page()
		d := a.Delivered()
		state := "the-state"
		if uri == "https://jwt.example/refused" {
			state = "inner"
		}
		if d.Get("error") != want || (want == "") != (page == "signin") || want != "" && d.Get("state") != state {
			t.Errorf("%s: got %v, want %q", uri, a, want)
		}
	}
	for _, address := range published.Asked() {
		if !slices.Contains([]string{requestURI, pinned, "https://jwt.example/foreign", "https://jwt.example/none", "https://jwt.example/refused"}, address) {
			t.Errorf("%s was fetched, which is not registered", address)
		}
	}
	// Without a redirect URI beside it, nobody knows where to answer.
	a := w.Authorize("keyjwt", "request_uri", "https://jwt.example/none", "redirect_uri", "-")
	a.WantErrorPage(t, "an object that is not there", 400, "bad_request")
	a = w.Authorize("keyjwt", "request_uri", "https://jwt.example/none", "redirect_uri", "https://evil.example/")
	a.WantErrorPage(t, "a foreign redirect URI", 400, "redirect_uri")

	for _, id := range []string{"app", "secretjwt"} {
		if d := w.Authorize(id, "request_uri", requestURI).Delivered(); d.Get("error") != "request_uri_not_supported" {
			t.Errorf("%s without request_uris: got %v, want request_uri_not_supported", id, d.Values)
		}
	}
}

// Anybody can send a request with a registered request_uri: nothing is stored for it, and one
// network does not cause fetches without end, whatever fragments it makes up.
func TestThreat_StrangersCauseFewFetches(t *testing.T) {
	published := &testworld.Published{}
	w := testworld.New(t, publishing(published, requestURI))
	published.Publish(requestURI, testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt")))
	w.WantNothingStored("requests with request_uri", func() {
		refused := 0
		for i := range 200 {
			a := w.Authorize("keyjwt", "request_uri", fmt.Sprintf("%s#%d", requestURI, i))
			switch page, _ := a.Page(); {
			case page == "signin":
			case a.Delivered().Get("error") == "temporarily_unavailable":
				refused++
			default:
				t.Fatalf("got %v, want the sign-in page or temporarily_unavailable", a)
			}
		}
		if n := len(published.Asked()); n > 70 || refused != 200-n {
			t.Errorf("got %d fetches and %d refusals of 200 requests, want about 60 fetches", n, refused)
		}
	})
	if a := w.Authorize("keyjwt"); a.StatusCode != 200 {
		t.Errorf("a request without it: got %v, want the sign-in page", a)
	}
}

// What is published without a signature counts as one that is sent.
func TestUnsignedRequestURI(t *testing.T) {
	published := &testworld.Published{}
	w := testworld.New(t, testworld.UnsignedObjects, publishing(published, requestURI))
	published.Publish(requestURI, testworld.UnsignedObject(t, map[string]any{"prompt": "none", "nonce": "inner"}))
	d := w.Authorize("keyjwt", "request_uri", requestURI).Delivered()
	if d.Get("error") != "login_required" || d.Get("state") != "the-state" {
		t.Errorf("got %+v, want login_required with the state of the query", d)
	}
}
