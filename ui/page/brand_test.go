// SPDX-License-Identifier: Apache-2.0

package page

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/ui/pagetest"
)

const svg = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>alert(1)</script></svg>`

func TestBrand(t *testing.T) {
	logo, err := ReadLogo([]byte(svg))
	if err != nil {
		t.Fatal(err)
	}
	accent, err := client.ParseAccent("#8b0000", "")
	if err != nil {
		t.Fatal(err)
	}
	p := newPages(t, func(c *Config) {
		c.Brand = Brand{Logo: logo, Accent: accent, PrivacyURL: "https://lingon.example/p", TermsURL: "https://lingon.example/t"}
	})
	answer := drawSignIn(p, authorize.SignInView{})
	page := answer.Body.String()
	pagetest.Contains(t, page, "--accent:#8b0000", "Lingon ID", `href="https://lingon.example/p"`, `href="https://lingon.example/t"`, "/static/logo-")
	// The style is allowed by its nonce, and nothing is unsafe.
	policy := answer.Header().Get("Content-Security-Policy")
	nonce := regexp.MustCompile(`<style nonce="([^"]+)">`).FindStringSubmatch(page)
	if nonce == nil || !strings.Contains(policy, "'nonce-"+nonce[1]+"'") || strings.Contains(policy, "unsafe") {
		t.Errorf("got the policy %s, want the nonce of the style and nothing unsafe", policy)
	}
	// A client's accent overrides the operator's, on the client's pages.
	green, err := client.ParseAccent("#006400", "#90ee90")
	if err != nil {
		t.Fatal(err)
	}
	own := pagetest.Shop
	own.Accent = green
	if page := drawSignIn(p, authorize.SignInView{Client: own}).Body.String(); !strings.Contains(page, "--accent:#006400") || strings.Contains(page, "#8b0000") {
		t.Error("a client's page: got the operator's accent, want the client's")
	}
	// Without an accent, the page has no style of its own.
	if page := drawSignIn(newPages(t), authorize.SignInView{}).Body.String(); strings.Contains(page, "<style") {
		t.Error("without an accent: got a style, want none")
	}
	// The logo runs no script if a browser opens it as a page.
	name := regexp.MustCompile(`/static/(logo-[^"]+)`).FindStringSubmatch(page)[1]
	w := getStatic(p, name, "")
	if w.Header().Get("Content-Type") != "image/svg+xml" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'; sandbox") {
		t.Errorf("got %v, want an image in a sandbox", w.Header())
	}
}

func TestReadLogo(t *testing.T) {
	for _, row := range []struct{ what, raw, want string }{
		{"svg", svg, "image/svg+xml"},
		{"svg without a declaration", "<!-- logo -->\n<svg/>", "image/svg+xml"},
		{"png", "\x89PNG\r\n\x1a\n....", "image/png"},
		{"webp", "RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"},
		{"html", "<!doctype html><svg/>", ""},
		{"jpeg", "\xff\xd8\xff\xe0", ""},
		{"another document", "<html><svg/></html>", ""},
		{"an empty file", "", ""},
		{"too large", "<svg>" + strings.Repeat(" ", maxLogo), ""},
	} {
		t.Run(row.what, func(t *testing.T) {
			got, err := ReadLogo([]byte(row.raw))
			if (err == nil) != (row.want != "") || err == nil && got.Type != row.want {
				t.Errorf("got %v, %v, want the type %q", got, err, row.want)
			}
		})
	}
}

// The grounds on which accents are checked are those of the stylesheet.
func TestAccentGroundsAreTheStylesheets(t *testing.T) {
	css, err := os.ReadFile("../static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(string(css), "prefers-color-scheme: dark")
	for theme, grounds := range map[string][]string{light: client.LightGrounds, dark: client.DarkGrounds} {
		for i, token := range []string{"--card", "--ground", "--tint"} {
			m := regexp.MustCompile(token + `: (#[0-9a-f]+);`).FindStringSubmatch(theme)
			if m == nil || strings.ReplaceAll(m[1], "#fff", "#ffffff") != grounds[i] && m[1] != grounds[i] {
				t.Errorf("%s: got %v, want %s, on which accents are checked", token, m, grounds[i])
			}
		}
	}
	if a, err := client.ParseAccent("#2a4bd7", "#a3b5ff"); err != nil || a == nil {
		t.Errorf("the stylesheet's own accent: got %v, want nil", err)
	}
}
