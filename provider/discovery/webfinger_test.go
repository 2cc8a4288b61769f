// SPDX-License-Identifier: Apache-2.0

package discovery_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

const relIssuer = "http://openid.net/specs/connect/1.0/issuer"

// finger asks for a resource.
func finger(w *testworld.World, query url.Values) testworld.Response {
	return w.Get("/.well-known/webfinger?" + query.Encode())
}

// Every resource of the host gets the same answer, whether or not such a user exists.
func TestWebFinger(t *testing.T) {
	w := testworld.New(t)
	w.Tokens("app", "openid phone")
	for _, resource := range []string{
		"acct:joe@id.example", "acct:JOE@ID.EXAMPLE", "acct:a%40b@id.example", "acct:" + testworld.Number + "@id.example",
		"https://id.example", "https://id.example/", "https://id.example/joe", "https://id.example:443/", "https://joe@id.example:443/",
	} {
		r := finger(w, url.Values{"resource": {resource}})
		want := map[string]any{"subject": resource, "links": []any{map[string]any{"rel": relIssuer, "href": testworld.Issuer}}}
		if r.StatusCode != 200 || !reflect.DeepEqual(r.JSON(), want) {
			t.Errorf("%s: got %v, want %v", resource, r, want)
		}
		if r.Header.Get("Content-Type") != "application/jrd+json" || r.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: got %v, want a JRD that any page may read", resource, r.Header)
		}
	}
	for _, resource := range []string{
		"acct:joe@other.example", "acct:joe@id.example.com", "acct:joe@id.example:8443", "https://other.example/", "https://id.example:8443/",
		"https://id.example@other.example/", "acct:joe@id.example@other.example", "https://id.example.evil.example/", "acct:x@xid.example",
	} {
		if r := finger(w, url.Values{"resource": {resource}}); r.StatusCode != 404 || r.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: got %v, want 404", resource, r)
		}
	}
	for what, query := range map[string]url.Values{
		"none": {}, "an empty one": {"resource": {""}}, "two": {"resource": {"acct:a@id.example", "acct:b@id.example"}},
		"no URI": {"resource": {"joe@id.example"}}, "no host": {"resource": {"acct:joe"}}, "an empty host": {"resource": {"acct:joe@"}},
		"no user": {"resource": {"acct:@id.example"}}, "another scheme": {"resource": {"mailto:joe@id.example"}}, "no TLS": {"resource": {"http://id.example/"}},
		"a path": {"resource": {"acct:joe/@id.example"}}, "a long one": {"resource": {"acct:" + strings.Repeat("a", 3000) + "@id.example"}},
	} {
		if r := finger(w, query); r.StatusCode != 400 {
			t.Errorf("%s: got %v, want 400", what, r)
		}
	}
}

// A client may ask for some links only (RFC 7033 §4.3).
func TestWebFingerFiltersLinks(t *testing.T) {
	w := testworld.New(t)
	for rel, want := range map[string]int{relIssuer: 1, "http://other.example/rel": 0} {
		r := finger(w, url.Values{"resource": {"acct:joe@id.example"}, "rel": {rel}})
		if links, _ := r.JSON()["links"].([]any); r.StatusCode != 200 || len(links) != want || links == nil {
			t.Errorf("%s: got %v, want %d links", rel, r, want)
		}
	}
	r := finger(w, url.Values{"resource": {"acct:joe@id.example"}, "rel": {"x", relIssuer}})
	if links, _ := r.JSON()["links"].([]any); len(links) != 1 {
		t.Errorf("two relations: got %v, want one link", r)
	}
	if r := w.Post("/.well-known/webfinger?resource=acct:joe@id.example", nil); r.StatusCode != 405 {
		t.Errorf("POST: got %v, want 405", r)
	}
	if r := w.Do(httptest.NewRequest("OPTIONS", testworld.Issuer+"/.well-known/webfinger", nil)); r.StatusCode != 204 {
		t.Errorf("a preflight: got %v, want 204", r)
	}
}

// Whatever is asked, the answer is JSON that names this issuer and no other, or an error.
func FuzzWebFinger(f *testing.F) {
	for _, resource := range []string{"acct:joe@id.example", "https://id.example/x", "acct:\x00\xff@id.example", "https://[::1]:1/"} {
		f.Add(resource)
	}
	w := testworld.New(f)
	f.Fuzz(func(t *testing.T, resource string) {
		r := w.In(t).Get("/.well-known/webfinger?resource=" + url.QueryEscape(resource))
		switch r.StatusCode {
		case 400, 404:
		case 200:
			var answer struct{ Links []struct{ Href string } }
			if err := json.Unmarshal([]byte(r.Text), &answer); err != nil || len(answer.Links) != 1 || answer.Links[0].Href != testworld.Issuer {
				t.Errorf("%q: got %v, want this issuer", resource, r)
			}
			if !strings.Contains(strings.ToLower(resource), "id.example") {
				t.Errorf("%q: got %v, though it names another host", resource, r)
			}
		default:
			t.Errorf("%q: got %v", resource, r)
		}
	})
}
