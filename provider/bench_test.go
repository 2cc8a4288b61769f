package provider_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// What the direct endpoints cost without a network: goals in docs/performance.md.

func BenchmarkUserinfo(b *testing.B) {
	w := newWorld(b)
	got, _ := w.tokens("app", everything)
	token := "Bearer " + got["access_token"].(string)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("GET", issuer+"/userinfo", nil)
		r.Header.Set("Authorization", token)
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}

func BenchmarkIntrospection(b *testing.B) {
	w := newWorld(b)
	got, _ := w.tokens("app", everything)
	body := url.Values{"token": {got["access_token"].(string)}}.Encode()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", issuer+"/introspect", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("app", secret)
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}

func BenchmarkAuthorizePage(b *testing.B) {
	w := newWorld(b)
	target := issuer + "/authorize?" + asked("app").Encode()
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, httptest.NewRequest("GET", target, nil))
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}

func BenchmarkRefreshES256(b *testing.B) {
	w := newWorld(b)
	got, _ := w.tokens("es256", everything)
	token := got["refresh_token"].(string)
	b.ReportAllocs()
	for b.Loop() {
		a := w.refresh("es256", token)
		if a.StatusCode != 200 {
			b.Fatal(a.body)
		}
		token = a.json()["refresh_token"].(string)
	}
}
