// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"calleridp/provider/internal/testworld"
)

// What the direct endpoints cost without a network. Goals are in
// docs/performance.md.

// serve measures a request that is built for each iteration and must get 200.
func serve(b *testing.B, w *testworld.World, request func() *http.Request) {
	b.ReportAllocs()
	for b.Loop() {
		recorder := httptest.NewRecorder()
		w.Handler.ServeHTTP(recorder, request())
		if recorder.Code != 200 {
			b.Fatalf("got %d %s, want 200", recorder.Code, recorder.Body)
		}
	}
}

func BenchmarkUserinfo(b *testing.B) {
	w := testworld.New(b)
	got, _ := w.Tokens("app", testworld.AllScopes)
	bearer := testworld.Bearer(got.Access)
	serve(b, w, func() *http.Request {
		r := httptest.NewRequest("GET", testworld.Issuer+"/userinfo", nil)
		bearer(r)
		return r
	})
}

func BenchmarkIntrospection(b *testing.B) {
	w := testworld.New(b)
	got, _ := w.Tokens("app", testworld.AllScopes)
	form := url.Values{"token": {got.Access}}
	basic := testworld.Basic("app", testworld.Secret)
	serve(b, w, func() *http.Request {
		r := testworld.Form("/introspect", form)
		basic(r)
		return r
	})
}

func BenchmarkAuthorizePage(b *testing.B) {
	w := testworld.New(b)
	target := testworld.Issuer + "/authorize?" + testworld.AuthRequest("app").Encode()
	serve(b, w, func() *http.Request { return httptest.NewRequest("GET", target, nil) })
}

func BenchmarkRefreshES256(b *testing.B) {
	w := testworld.New(b)
	got, _ := w.Tokens("es256", testworld.AllScopes)
	token := got.Refresh
	b.ReportAllocs()
	for b.Loop() {
		token = testworld.TokensIn(b, w.Refresh("es256", token)).Refresh
	}
}
