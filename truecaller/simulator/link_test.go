// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"calleridp/truecaller"
)

const goodLink = "truecallersdk://truesdk/web_verify?type=btmsheet&requestNonce=nonce-of-32-bytes&partnerKey=key&partnerName=Lingon%20Market" +
	"&lang=hi&privacyUrl=https%3A%2F%2Flingon.example%2Fp&loginPrefix=getstarted&loginSuffix=login&ctaPrefix=use&ctaColor=%230066CC&skipOption=later&ttl=60000"

func TestParseLink(t *testing.T) {
	l, warnings, err := ParseLink(goodLink)
	want := Link{Nonce: "nonce-of-32-bytes", PartnerKey: "key", PartnerName: "Lingon Market", Lang: "hi", PrivacyURL: "https://lingon.example/p",
		LoginPrefix: "getstarted", LoginSuffix: "login", CTAPrefix: "use", CTAColor: "#0066CC", SkipOption: "later", TTL: time.Minute}
	if err != nil || warnings != nil || l != want {
		t.Fatalf("ParseLink() = %+v, %v, %v, want %+v without warnings", l, warnings, err, want)
	}
	if l, warnings, err := ParseLink(linkStart + "type=btmsheet&requestNonce=12345678&partnerKey=key&partnerName=%C3%85"); err != nil || warnings != nil || l.PartnerName != "Å" {
		t.Errorf("ParseLink() of the mandatory parameters = %+v, %v, %v, want no warnings", l, warnings, err)
	}
}

func TestParseLinkRefuses(t *testing.T) {
	without := func(part string) string { return strings.Replace(goodLink, part, "", 1) }
	for what, link := range map[string]string{
		"nothing":        "",
		"another scheme": strings.Replace(goodLink, "truecallersdk:", "truecaller:", 1),
		"another path":   strings.Replace(goodLink, "web_verify", "verify", 1),
		"an intent":      strings.Replace(goodLink, "truecallersdk:", "intent:", 1),
		"a merged first parameter, as in the printed samples": strings.Replace(goodLink, "btmsheet&", "btmsheet", 1),
		"no type":        without("type=btmsheet&"),
		"another type":   strings.Replace(goodLink, "btmsheet", "4", 1),
		"no nonce":       without("&requestNonce=nonce-of-32-bytes"),
		"a short nonce":  strings.Replace(goodLink, "nonce-of-32-bytes", "1234567", 1),
		"a long nonce":   strings.Replace(goodLink, "nonce-of-32-bytes", strings.Repeat("n", 65), 1),
		"no key":         without("&partnerKey=key"),
		"no name":        without("&partnerName=Lingon%20Market"),
		"an empty name":  without("Lingon%20Market"),
		"bad encoding":   strings.Replace(goodLink, "Lingon%20", "Lingon%zz", 1),
		"more than 8 KB": goodLink + "&termsUrl=https%3A%2F%2Fa.example%2F" + strings.Repeat("a", maxLink),
	} {
		t.Run(what, func(t *testing.T) {
			if l, warnings, err := ParseLink(link); err == nil || l != (Link{}) || warnings != nil {
				t.Errorf("ParseLink() of a link with %s = %+v, %v, want an error", what, l, warnings)
			}
		})
	}
	for _, nonce := range []string{"12345678", strings.Repeat("-", 64)} {
		if _, warnings, err := ParseLink(strings.Replace(goodLink, "nonce-of-32-bytes", nonce, 1)); err != nil || warnings != nil {
			t.Errorf("ParseLink() with the nonce %s: %v, %v, want no warnings", nonce, warnings, err)
		}
	}
}

// What a phone ignores is ignored here, and said.
func TestParseLinkWarns(t *testing.T) {
	swap := func(old, new string) string { return strings.Replace(goodLink, old, new, 1) }
	for what, row := range map[string]struct {
		link, warnings string        // the warnings, a semicolon between them, as far as they are here
		ignored        func(l *Link) // what the good link has and this has not; nil for nothing
	}{
		"a raw colour": {swap("ctaColor=%23", "btnShape=rect#"), "fragment", func(l *Link) { l.CTAColor, l.BtnShape, l.SkipOption, l.TTL = "", "rect", "", 0 }},
		"a plus":       {swap("Lingon%20", "Lingon+"), "partnerName: a plus", func(l *Link) { l.PartnerName = "Lingon+Market" }},
		"broken over lines, as in the printed samples": {swap("&lang", "\n&lang"), "must be percent-encoded;partnerName has line breaks", func(l *Link) { l.PartnerName += "\n" }},
		"letters as they are":                          {swap("Lingon%20", "Löngon%20"), "must be percent-encoded", func(l *Link) { l.PartnerName = "Löngon Market" }},
		"not UTF-8":                                    {swap("Lingon%20", "Lingon%ff"), "partnerName is not UTF-8", func(l *Link) { l.PartnerName = "Lingon\ufffdMarket" }},
		"a control character":                          {swap("Lingon%20", "Lingon%07"), "partnerName has line breaks", func(l *Link) { l.PartnerName = "Lingon\x07Market" }},
		"a nonce of other characters":                  {swap("nonce-of", "nonce%20of"), "base64url", func(l *Link) { l.Nonce = "nonce of-32-bytes" }},
		"an unknown prefix":                            {swap("=getstarted", "=welcome"), `loginPrefix: "welcome" is not known`, func(l *Link) { l.LoginPrefix = "" }},
		"an unknown suffix":                            {swap("=login", "=logout"), "loginSuffix", func(l *Link) { l.LoginSuffix = "" }},
		"an unknown button":                            {swap("=use", "=getstarted"), "ctaPrefix", func(l *Link) { l.CTAPrefix = "" }},
		"an unknown footer":                            {swap("=later", "=skip"), "skipOption", func(l *Link) { l.SkipOption = "" }},
		"an unknown shape":                             {goodLink + "&btnShape=rectangular", "btnShape", nil},
		"a short colour":                               {swap("%230066CC", "%2306C"), "ctaColor", func(l *Link) { l.CTAColor = "" }},
		"a colour by name":                             {goodLink + "&ctaTextColor=white", "ctaTextColor", nil},
		"an http address":                              {swap("https%3A", "http%3A"), "privacyUrl", func(l *Link) { l.PrivacyURL = "" }},
		"a script as address":                          {goodLink + "&termsUrl=javascript%3Aalert(1)", "termsUrl", nil},
		"another language":                             {swap("lang=hi", "lang=sv"), `lang: "sv" is shown in English`, func(l *Link) { l.Lang = "en" }},
		"a short ttl":                                  {swap("=60000", "=7999"), "ttl: 7.999s is raised to 8s", func(l *Link) { l.TTL = minTTL }},
		"a ttl in words":                               {swap("=60000", "=60s"), "ttl", func(l *Link) { l.TTL = 0 }},
		"an unknown name":                              {goodLink + "&callbackUrl=x", `"callbackUrl" is not known`, nil},
		"a name of 2018":                               {goodLink + "&title=logIn", `"title" is not known`, nil},
		"nothing at its end":                           {goodLink + "&", `"" is not known`, nil},
		"an empty value":                               {goodLink + "&termsUrl=", "termsUrl is empty", nil},
		"a name twice":                                 {goodLink + "&lang=en", "lang stands in it twice", nil},
	} {
		t.Run(what, func(t *testing.T) {
			want, _, _ := ParseLink(goodLink)
			if row.ignored != nil {
				row.ignored(&want)
			}
			l, warnings, err := ParseLink(row.link)
			expected := strings.Split(row.warnings, ";")
			if err != nil || l != want || !slices.EqualFunc(warnings, expected, strings.Contains) {
				t.Errorf("%s: %q, %v\n got %+v\nwant %+v", what, warnings, err, l, want)
			}
		})
	}
}

// The links that we make are read without a warning, as they were meant.
func TestOurLinksAreClean(t *testing.T) {
	for what, dialog := range map[string]truecaller.Dialog{
		"the defaults": {},
		"everything": {LoginPrefix: "getstarted", LoginSuffix: "signin", CTAPrefix: "use", CTAColor: "#0066CC", CTATextColor: "#ffffff", BtnShape: "rect",
			SkipOption: "later", TTL: 90 * time.Second, PrivacyURL: "https://id.example/privacy?a=1&b=2#c", TermsURL: "https://id.example/å", PartnerName: "50% Café & Söner+"},
	} {
		t.Run(what, func(t *testing.T) {
			for _, lang := range []string{"sv-SE", "hi-IN", "ar", ""} {
				app := truecaller.App{ID: "main", Name: "Lingon & Söner", Key: "abcde0123456789abcdef0123456789abcdef", OneTap: &dialog}
				raw, err := app.DeepLink(strings.Repeat("N_-9", 11)[:43], lang)
				if err != nil {
					t.Fatal(err)
				}
				l, warnings, err := ParseLink(raw)
				if err != nil || warnings != nil || l.PartnerKey != app.Key || l.TTL != dialog.TTL || l.PrivacyURL != dialog.PrivacyURL || l.TermsURL != dialog.TermsURL ||
					l.CTAColor != dialog.CTAColor || l.CTATextColor != dialog.CTATextColor || l.BtnShape != dialog.BtnShape {
					t.Errorf("%s: ParseLink(%s) = %+v, %v, %v, want what the dialog says", what, raw, l, warnings, err)
				}
				if want := max(dialog.PartnerName, app.Name); dialog.PartnerName != "" && l.PartnerName != dialog.PartnerName || dialog.PartnerName == "" && l.PartnerName != want {
					t.Errorf("%s: partnerName is %q, want %q", what, l.PartnerName, want)
				}
				if l.dialog("4670").Title == "" || l.dialog("4670").Footer == "" {
					t.Errorf("%s: the dialog is %+v, want a title and a footer", what, l.dialog("4670"))
				}
			}
		})
	}
}

// encode makes a link of what was read, as section 2.4 says that one is made.
func encode(l Link) string {
	raw := linkStart + "type=btmsheet"
	add := func(name, value string) {
		if value != "" {
			raw += "&" + name + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
		}
	}
	add("requestNonce", l.Nonce)
	add("partnerKey", l.PartnerKey)
	add("partnerName", l.PartnerName)
	add("lang", l.Lang)
	add("privacyUrl", l.PrivacyURL)
	add("termsUrl", l.TermsURL)
	add("loginPrefix", l.LoginPrefix)
	add("loginSuffix", l.LoginSuffix)
	add("ctaPrefix", l.CTAPrefix)
	add("ctaColor", l.CTAColor)
	add("ctaTextColor", l.CTATextColor)
	add("btnShape", l.BtnShape)
	add("skipOption", l.SkipOption)
	if l.TTL != 0 {
		add("ttl", strconv.FormatInt(l.TTL.Milliseconds(), 10))
	}
	return raw
}

// Whatever a phone reads from a link, it reads the same from the link made of that
// again; and where the first had nothing to warn of, neither has the second.
func FuzzParseLink(f *testing.F) {
	for _, link := range []string{
		goodLink, goodLink + "&lang=en#x", goodLink + "&ttl=1", linkStart, strings.Replace(goodLink, "Lingon%20", "L\xff%ff%00+", 1),
		strings.Replace(goodLink, "nonce-of", "%C3%A5%F0%9F%98%80", 1), goodLink + "&termsUrl=https%3A%2F%2Fa%2F%25zz&btnShape=round&ctaTextColor=%23fFfFfF",
	} {
		f.Add(link)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		l, warnings, err := ParseLink(raw)
		if err != nil {
			if l != (Link{}) || warnings != nil {
				t.Fatalf("ParseLink() = %+v, %v with the error %v, want no link", l, warnings, err)
			}
			return
		}
		if l.PartnerKey == "" || l.PartnerName == "" || l.TTL != 0 && l.TTL < minTTL || len(warnings) > maxWarnings {
			t.Fatalf("ParseLink() = %+v with %d warnings, want a key, a name and a TTL of at least %s", l, len(warnings), minTTL)
		}
		made := encode(l)
		again, more, err := ParseLink(made)
		if len(made) > maxLink { // percent-encoding makes it longer
			return
		}
		if err != nil || again != l {
			t.Fatalf("%s is read as\n%+v, %v; want\n%+v", made, again, err, l)
		}
		if warnings == nil && more != nil {
			t.Fatalf("ParseLink(%s) has the warnings %v, want none", made, more)
		}
		l.dialog("46701740607")
	})
}
