package ui

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// The order: ui_locales, then what was chosen here, then the browser's wish. What
// was chosen instead of what the client asks for stays chosen.
func TestTheOrderOfLanguages(t *testing.T) {
	u := newWorld(t).ui
	for _, row := range []struct{ uiLocales, cookie, accept, want, demanded string }{
		{"", "", "sv", "sv", ""},
		{"", "hi", "sv", "hi", ""},
		{"sv", "hi", "ta", "sv", "sv"},
		{"sv", "hi.sv", "ta", "hi", "sv"}, // the person has seen Swedish and wanted Hindi
		{"bn", "hi.sv", "ta", "bn", "bn"}, // this client asks for another language
		{"ja", "hi", "ta", "hi", ""},      // and this one for none of ours
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
		if row.cookie != "" {
			r.AddCookie(&http.Cookie{Name: "__Host-calleridp_language", Value: row.cookie})
		}
		got := u.in(r, strings.Fields(row.uiLocales))
		if got.Tag != row.want || got.demanded != row.demanded {
			t.Errorf("%+v: %s, demanded %q", row, got.Tag, got.demanded)
		}
		if now := u.in(speaking(r, u.languages.named("te")), strings.Fields(row.uiLocales)); now.Tag != "te" || now.demanded != row.demanded {
			t.Errorf("%+v: chosen now, %s, demanded %q", row, now.Tag, now.demanded)
		}
	}
}

func TestNumbering(t *testing.T) {
	for _, row := range []struct{ in, wanted, want string }{
		{"en", "en-US", "latn"},
		{"hi", "hi-IN", "latn"},
		{"bn", "bn-IN", "beng"},
		{"bn", "", "beng"},
		{"mr", "en mr-IN", "deva"},
		{"ar", "ar-EG", "arab"},
		{"ar", "en-US ar-SA fr", "arab"},
		{"ar", "ar-MA ar-EG", "latn"}, // the first says it
		{"ar", "ar ar-EG", "arab"},    // the client's ui_locales, and then the browser's languages
		{"ar", "ar-AE", "latn"},
		{"ar", "ar", "latn"},
		{"ar", "", "latn"},
		{"ar", "en-EG", "latn"}, // of another language
		{"ar", "ar-MA-u-nu-arab", "arab"},
		{"bn", "bn-u-nu-latn", "latn"},
		{"bn", "bn-u-nu-roman", "beng"}, // Roman numerals have no zero
		{"ur", "ur-PK", "latn"},
		{"ur", "ur-IN", "arabext"},
	} {
		if got := numbering(language.MustParse(row.in), parsed(strings.Fields(row.wanted))); got != row.want {
			t.Errorf("%s for %q: %s, want %s", row.in, row.wanted, got, row.want)
		}
	}
}

// What is said here about languages is what Unicode says, as far as the library
// knows it: it has CLDR 32, and its numbers do not look at most countries.
func TestNumberingIsUnicodes(t *testing.T) {
	for tag := range strings.FieldsSeq("en hi bn te mr ta kn ml pa gu ur sw fr pt es id sv ur-IN ar-DZ ar-EH ar-LY ar-MA ar-TN") {
		in := language.MustParse(tag)
		base, _ := in.Base()
		zero := zeros[numbering(language.Make(base.String()), []language.Tag{in})]
		if want := message.NewPrinter(in).Sprint(number.Decimal(0)); string(zero) != want {
			t.Errorf("the zero of %s is %c, want %s", tag, zero, want)
		}
	}
}

// Server and script write the same digits; phone numbers stay as they are.
func TestDigitsOnAPage(t *testing.T) {
	for _, row := range []struct{ accept, left, zero, locked string }{
		{"en", "5:00", "0", "in 5\u00a0minutes"},
		{"bn-BD", "৫:০০", "০", "৫"},
		{"mr-IN", "५:००", "०", "५"},
		{"hi-IN", "5:00", "0", "5"},
		{"ar-EG", "٥:٠٠", "٠", "٥"},
		{"ar-MA", "5:00", "0", "5"},
		{"ur-IN", "۵:۰۰", "۰", "۵"},
	} {
		w := newWorld(t)
		r := ours("GET", ourPath, nil)
		r.Header.Set("Accept-Language", row.accept)
		answer := w.do(r)
		wants(t, answer, 200, `<span id="left" class="clock" role="timer" data-seconds="300" data-zero="`+row.zero+`">`+row.left+`</span>`,
			`<span id="again-in" class="clock" data-seconds="300" data-zero="`+row.zero+`">`+row.left+`</span>`,
			`<bdi class="number" dir="ltr">&#43;46•••••0605</bdi>`)
		wellFormed(t, row.accept, answer.Body.String())

		r = request("POST", "/signin", url.Values{"request": {"sealed"}})
		r.Header.Set("Accept-Language", row.accept)
		w.flow.refusal = &authorize.Refusal{Problem: authorize.Problem{Kind: authorize.Locked, RetryAt: time.Now().Add(5*time.Minute - time.Second)}, View: authorize.SignInView{Client: shop, Request: "sealed"}}
		wants(t, w.do(r), 429, row.locked, `id="number"`)

		w.flow.move("expired", "")
		r = ours("GET", ourPath, nil)
		r.Header.Set("Accept-Language", row.accept)
		body := w.do(r).Body.String()
		_, body, _ = strings.Cut(body, `<p class="small">`)
		if body, _, _ = strings.Cut(body, "</p>"); !strings.Contains(body, row.locked) {
			t.Errorf("%s: %q has no %q", row.accept, body, row.locked)
		}
	}
}
