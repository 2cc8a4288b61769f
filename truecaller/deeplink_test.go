// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

var aNonce = strings.Repeat("N", 43)

func linkApp(change ...func(*Dialog)) App {
	d := &Dialog{}
	for _, c := range change {
		c(d)
	}
	return App{ID: "main", Name: "Lingon & Söner", Key: "abcde0123456789abcdef0123456789abcdef", OneTap: d}
}

// The link as a phone sees it, parameter by parameter, in the order and the
// encoding of docs/truecaller.md section 2.
func TestDeepLink(t *testing.T) {
	full := func(d *Dialog) {
		*d = Dialog{LoginPrefix: "getstarted", LoginSuffix: "signin", CTAPrefix: "use", CTAColor: "#0066CC", CTATextColor: "#ffffff",
			BtnShape: "round", SkipOption: "later", TTL: 60 * time.Second, PrivacyURL: "https://id.example/privacy?a=1&b=2#c",
			TermsURL: "https://id.example/terms", PartnerName: "50% Café+"}
	}
	start := "truecallersdk://truesdk/web_verify?type=btmsheet&requestNonce=" + aNonce + "&partnerKey=abcde0123456789abcdef0123456789abcdef"
	for _, row := range []struct {
		what, lang, want string
		app              App
	}{
		{"the defaults", "sv-SE", start + "&partnerName=Lingon%20%26%20S%C3%B6ner&lang=en&loginPrefix=continue&loginSuffix=login" +
			"&ctaPrefix=continuewith&skipOption=useanothernum", linkApp()},
		{"everything", "hi-IN", start + "&partnerName=50%25%20Caf%C3%A9%2B&lang=hi&privacyUrl=https%3A%2F%2Fid.example%2Fprivacy%3Fa%3D1%26b%3D2%23c" +
			"&termsUrl=https%3A%2F%2Fid.example%2Fterms&loginPrefix=getstarted&loginSuffix=signin&ctaPrefix=use&ctaColor=%230066CC" +
			"&ctaTextColor=%23ffffff&btnShape=round&skipOption=later&ttl=60000", linkApp(full)},
	} {
		t.Run(row.what, func(t *testing.T) {
			got, err := row.app.DeepLink(aNonce, row.lang)
			if err != nil || got != row.want {
				t.Errorf("%s: %v\n got %s\nwant %s", row.what, err, got, row.want)
			}
		})
	}
}

func TestDeepLinkLanguages(t *testing.T) {
	for tag, want := range map[string]string{
		"hi": "hi", "HI-in": "hi", "sw-KE": "sw", "ar": "ar", "gu": "en", "fr": "en", "": "en", "-": "en", "hindi": "en", "en&x=1": "en",
	} {
		t.Run(tag, func(t *testing.T) {
			got, err := linkApp().DeepLink(aNonce, tag)
			if err != nil || !strings.Contains(got, "&lang="+want+"&") {
				t.Errorf("DeepLink() for the language %q = %s, %v, want lang=%s", tag, got, err, want)
			}
		})
	}
}

func TestDeepLinkRefuses(t *testing.T) {
	if _, err := linkApp().DeepLink(aNonce, "en"); err != nil {
		t.Fatal(err)
	}
	for what, app := range map[string]App{
		"no one-tap":    {ID: "main", Name: "Lingon", Key: "k"},
		"no name":       {ID: "main", Key: "k", OneTap: &Dialog{}},
		"no key":        {ID: "main", Name: "Lingon", OneTap: &Dialog{}},
		"unknown words": linkApp(func(d *Dialog) { d.LoginPrefix = "welcome" }),
		"a bad colour":  linkApp(func(d *Dialog) { d.CTAColor = "red" }),
	} {
		t.Run(what, func(t *testing.T) {
			if link, err := app.DeepLink(aNonce, "en"); !errors.Is(err, ErrLink) || link != "" {
				t.Errorf("DeepLink() of an app with %s = %q, %v, want %v", what, link, err, ErrLink)
			}
		})
	}
	for _, nonce := range []string{"", "1234567", strings.Repeat("a", 65), "with space", "a&b=ccccc", "åäöåäöåäö"} {
		t.Run(fmt.Sprintf("%q", nonce), func(t *testing.T) {
			if link, err := linkApp().DeepLink(nonce, "en"); !errors.Is(err, ErrLink) || link != "" {
				t.Errorf("DeepLink(%q) = %q, %v, want %v", nonce, link, err, ErrLink)
			}
		})
	}
	for _, nonce := range []string{"12345678", strings.Repeat("-", 64)} {
		t.Run(nonce, func(t *testing.T) {
			if _, err := linkApp().DeepLink(nonce, "en"); err != nil {
				t.Errorf("DeepLink(%q) failed: %v", nonce, err)
			}
		})
	}
}

func TestDialogValidate(t *testing.T) {
	for field, change := range map[string]func(*Dialog){
		"LoginPrefix":  func(d *Dialog) { d.LoginPrefix = "Continue" },
		"LoginSuffix":  func(d *Dialog) { d.LoginSuffix = "logout" },
		"CTAPrefix":    func(d *Dialog) { d.CTAPrefix = "getstarted" },
		"BtnShape":     func(d *Dialog) { d.BtnShape = "rectangular" },
		"SkipOption":   func(d *Dialog) { d.SkipOption = "skip" },
		"CTAColor":     func(d *Dialog) { d.CTAColor = "#06C" },
		"CTATextColor": func(d *Dialog) { d.CTATextColor = "#GGGGGG" },
		"TTL":          func(d *Dialog) { d.TTL = 7999 * time.Millisecond },
		"PrivacyURL":   func(d *Dialog) { d.PrivacyURL = "http://id.example/" },
		"TermsURL":     func(d *Dialog) { d.TermsURL = "https://user@id.example/" },
		"PartnerName":  func(d *Dialog) { d.PartnerName = "a\u202eb" },
	} {
		t.Run(field, func(t *testing.T) {
			d := Dialog{}
			change(&d)
			got := d.Validate()
			if len(got) != 1 || got[0].Field != field || got[0].Reason == "" {
				t.Errorf("Validate() = %v, want one of %s", got, field)
			}
		})
	}
	d := Dialog{TTL: 8 * time.Second, PartnerName: strings.Repeat("ö", 64)}
	if got := d.Validate(); got != nil {
		t.Errorf("Validate() = %v, want none", got)
	}
	if d.PartnerName += "ö"; d.Validate() == nil {
		t.Error("Validate() accepts a name of 65 characters")
	}
}

// Whatever goes in, a link that comes out is one that an Android phone reads
// back as exactly what went in, and nothing besides.
func FuzzDeepLink(f *testing.F) {
	f.Add(aNonce, "en", "Lingon", "#0066CC", "https://id.example/privacy", "continue", int64(8000))
	f.Add("12345678", "hi-IN", "a&b=c#d+e%20f", "#fff", "https://id.example/?x=1&y=2#z", "getstarted", int64(0))
	f.Add(aNonce, "ar", "متجر الزهور", "", "javascript:alert(1)", "", int64(-1))
	f.Fuzz(func(t *testing.T, nonce, lang, name, color, address, prefix string, ttl int64) {
		app := linkApp(func(d *Dialog) {
			*d = Dialog{PartnerName: name, CTAColor: color, PrivacyURL: address, LoginPrefix: prefix, TTL: time.Duration(ttl) * time.Millisecond}
		})
		link, err := app.DeepLink(nonce, lang)
		if err != nil {
			if link != "" || !errors.Is(err, ErrLink) {
				t.Fatalf("DeepLink() = %q, %v, want no link with %v", link, err, ErrLink)
			}
			return
		}
		for _, b := range []byte(link) {
			if b <= ' ' || b > '~' || strings.IndexByte(`"'<>\^`+"`{|}#+", b) >= 0 {
				t.Fatalf("DeepLink() = %s, which has the byte %q unescaped", link, b)
			}
		}
		query, ok := strings.CutPrefix(link, "truecallersdk://truesdk/web_verify?")
		if !ok {
			t.Fatalf("DeepLink() = %s, want the scheme truecallersdk", link)
		}
		seen := map[string]string{}
		for pair := range strings.SplitSeq(query, "&") {
			k, v, ok := strings.Cut(pair, "=")
			v, err := url.PathUnescape(v) // as Android does where a plus is a plus
			if _, twice := seen[k]; twice || !ok || err != nil || strings.Contains(v, "\x00") {
				t.Fatalf("DeepLink() = %s, in which %q is a mistake or stands twice: %v", link, pair, err)
			}
			seen[k] = v
		}
		if name == "" {
			name = app.Name
		}
		for k, want := range map[string]string{"type": "btmsheet", "requestNonce": nonce, "partnerKey": app.Key, "partnerName": name, "ctaColor": color, "privacyUrl": address} {
			if seen[k] != want {
				t.Fatalf("%s is %q, want %q", k, seen[k], want)
			}
		}
		if !slices.Contains(linkLanguages, seen["lang"]) || !slices.Contains(loginPrefixes, seen["loginPrefix"]) {
			t.Fatalf("DeepLink() has the parameters %v, want words of Truecaller's vocabulary", seen)
		}
	})
}
