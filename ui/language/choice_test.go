// SPDX-License-Identifier: Apache-2.0

package language

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// The order: ui_locales, the language cookie, the browser's Accept-Language. What the
// user selected in place of what the client requests stays selected.
func TestTheOrderOfLanguages(t *testing.T) {
	s := loaded(t)
	for _, row := range []struct{ uiLocales, cookie, accept, want, requested string }{
		{"", "", "sv", "sv", ""},
		{"", "hi", "sv", "hi", ""},
		{"sv", "hi", "ta", "sv", "sv"},
		{"sv", "hi.sv", "ta", "hi", "sv"}, // the user has replaced Swedish by Hindi
		{"bn", "hi.sv", "ta", "bn", "bn"}, // this client requests another language
		{"ja", "hi", "ta", "hi", ""},      // and this one requests none of ours
		{"", "hi.sv", "ta", "hi", ""},
		{"sv-FI en", "hi.sv", "", "hi", "sv"},
		{"", "xx", "sv", "sv", ""},
		{"", "HI", "sv", "sv", ""},
		{"sv", "xx.sv", "", "sv", "sv"},
		{"sv", ".sv", "", "sv", "sv"},
		{"", "hi.sv.ta", "sv", "hi", ""},
		{"", "<script>", "sv", "sv", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", row.accept)
		locales := strings.Fields(row.uiLocales)
		if got := s.Choose(r, row.cookie, locales); got.Tag != row.want || got.Requested != row.requested {
			t.Errorf("%+v: got %s, requested %q", row, got.Tag, got.Requested)
		}
		if got := s.Choose(WithSelected(r, s.Named("te")), row.cookie, locales); got.Tag != "te" || got.Requested != row.requested {
			t.Errorf("%+v: got %s, requested %q, want te, which the user has just selected", row, got.Tag, got.Requested)
		}
	}
}

func TestTheLanguageOfAPage(t *testing.T) {
	s := loaded(t)
	for _, row := range []struct {
		uiLocales []string
		accept    string
		want      string
	}{
		{nil, "", "en"},
		{nil, "sv-SE,sv;q=0.9,en;q=0.8", "sv"},
		{nil, "xx, sv;q=0.1", "sv"},
		{nil, "sv;q=0", "en"},
		{nil, "%%%", "en"},
		{[]string{"sv"}, "en", "sv"},
		{[]string{"sv-FI", "en"}, "en", "sv"},
		{[]string{"xx", "sv"}, "en", "sv"},
		{[]string{"ja"}, "sv", "sv"},
		{[]string{"not a tag", strings.Repeat("a-", 500)}, "sv", "sv"},
		{nil, "sv," + strings.Repeat("en-US,", 100), "sv"},
		{nil, strings.Repeat("-", 10_000), "en"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", row.accept)
		if got := s.Choose(r, "", row.uiLocales).Tag; got != row.want {
			t.Errorf("%v and %.40q: got %s, want %s", row.uiLocales, row.accept, got, row.want)
		}
	}
}
