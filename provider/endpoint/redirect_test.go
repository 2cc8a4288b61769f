// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"net/http/httptest"
	"testing"
)

// A redirect is for this browser alone, and tells the next page nothing.
func TestRedirect(t *testing.T) {
	w := httptest.NewRecorder()
	Redirect(w, "https://app.example/cb?code=x")
	if h := w.Header(); w.Code != 303 || h.Get("Location") != "https://app.example/cb?code=x" ||
		h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("got %d %v, want 303 there, no-store and no-referrer", w.Code, h)
	}
}

func TestWithParameters(t *testing.T) {
	params := []Parameter{
		{Name: "code", Value: "a b&c"},
		{Name: "iss", Value: "https://id.example"},
	}
	const added = "code=a+b%26c&iss=https%3A%2F%2Fid.example"
	for uri, want := range map[string]string{
		"https://app.example/cb":       "https://app.example/cb?" + added,
		"https://app.example/cb?x=%20": "https://app.example/cb?x=%20&" + added,
		"https://app.example/cb?":      "https://app.example/cb?" + added,
		"com.example.app:/cb":          "com.example.app:/cb?" + added,
	} {
		if got := WithParameters(uri, params...); got != want {
			t.Errorf("%s: got %s, want %s", uri, got, want)
		}
	}
	const inFragment = "#code=a%20b%26c&iss=https%3A%2F%2Fid.example"
	for _, uri := range []string{"https://app.example/cb", "https://app.example/cb?x=%20", "com.example.app:/cb"} {
		if got, want := WithFragment(uri, params...), uri+inFragment; got != want {
			t.Errorf("%s: got %s, want %s", uri, got, want)
		}
	}
	if got, want := WithParameters("/logout/done"), "/logout/done"; got != want {
		t.Errorf("without parameters: got %s, want %s", got, want)
	}
}
