// SPDX-License-Identifier: Apache-2.0

package gallery

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"calleridp/truecaller/phone"
	"calleridp/ui/language"
	"calleridp/ui/page"
	"calleridp/ui/pagetest"
)

// newGallery returns the gallery of the built-in pages, and their languages.
func newGallery(t *testing.T) (http.Handler, *language.Set) {
	t.Helper()
	languages, err := language.Load(os.DirFS(".."), nil)
	if err != nil {
		t.Fatal(err)
	}
	var countries []page.Country
	for _, c := range phone.Countries() {
		countries = append(countries, page.Country(c))
	}
	pages, err := page.New(page.Config{
		Files:          os.DirFS(".."),
		Languages:      languages,
		Countries:      countries,
		Groups:         phone.Groups(),
		DeploymentName: "Lingon ID",
		AppName:        "Lingon ID",
		Simulation:     true,
		ShowDetail:     true,
		Log:            slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return Handler(pages, languages, ""), languages
}

// open requests a page of the gallery.
func open(gallery http.Handler, path string) *httptest.ResponseRecorder {
	return pagetest.Draw("/gallery"+path, gallery.ServeHTTP)
}

// withoutCountries removes the list of all countries, which has tests of its own.
func withoutCountries(html string) string {
	var b strings.Builder
	for line := range strings.Lines(html) {
		if !strings.HasPrefix(line, `<option value="`) || strings.Contains(line, " selected>") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestEveryPageInEveryStateAndLanguage(t *testing.T) {
	gallery, languages := newGallery(t)
	drawn := 0
	for _, s := range scenes() {
		for _, l := range languages.All() {
			for _, query := range []string{"", "&theme=dark", "&theme=light&dir=rtl"} {
				if drawn++; drawn%oneIn != 0 {
					continue
				}
				dir := l.Dir
				if strings.Contains(query, "rtl") {
					dir = "rtl"
				}
				response := open(gallery, "/"+s.name+"?lang="+l.Tag+query)
				checkPage(t, s.name+" in "+l.Tag+query, response.Body.String(), `<html lang="`+l.Tag+`" dir="`+dir+`"`)
				checkHeaders(t, s.name, response.Header())
				most := 8 << 10
				if s.name == "account" { // as long as its lists
					most *= 2
				}
				if !strings.HasPrefix(s.name, "signin") && response.Body.Len() > most { // see TestTheSignInPageIsSmall
					t.Errorf("%s: got %d bytes, want at most %d", s.name, response.Body.Len(), most)
				}
			}
		}
	}
	list := open(gallery, "?lang=sv&theme=dark&width=320")
	pagetest.Want(t, list, 200, `data-scene="waiting" href="/gallery/waiting?lang=sv&amp;theme=dark&amp;dir="`, "Svenska", `class="tiles w320"`)
	if csp := list.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "frame-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("the list: got the CSP %s, want frames of its own pages", csp)
	}
	pagetest.Want(t, open(gallery, "?lang=<b>&width=9"), 200, `href="/gallery/waiting?lang=en&amp;`, `class="tiles w360"`)
	framed := open(gallery, "/waiting?lang=en&framed=").Header()
	if csp := framed.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'self'; ") || framed.Get("X-Frame-Options") != "" {
		t.Errorf("a framed page: got %v, want its own origin allowed", framed)
	}
	pagetest.Want(t, open(gallery, "/nothing"), 404)
}

var heading = regexp.MustCompile(`<h1[ >]`)

// checkPage checks what holds for every page. root is the start of its root element.
func checkPage(t *testing.T, name, html, root string) {
	t.Helper()
	html = withoutCountries(html)
	pagetest.WellFormed(t, name, html)
	for _, unfilled := range []string{"ZgotmplZ", "{{", "[[", "<title></title>"} {
		if strings.Contains(html, unfilled) {
			t.Errorf("%s: got %s, want the page filled in:\n%s", name, unfilled, html)
		}
	}
	if !strings.Contains(html, root) {
		t.Errorf("%s: got another language or direction, want %s", name, root)
	}
	if got := len(heading.FindAllString(strings.Split(html, `id="approved" hidden`)[0], -1)); got != 1 {
		t.Errorf("%s: got %d headings, want 1", name, got)
	}
	if !strings.Contains(html, `class="simulation"`) {
		t.Errorf("%s: got no note that it is a simulation", name)
	}
}

// checkHeaders checks that a page loads and posts to nothing but this server, and to the
// client's addresses.
func checkHeaders(t *testing.T, name string, h http.Header) {
	t.Helper()
	csp := h.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'; ", "; frame-ancestors 'none'", "; base-uri 'none'", "; form-action ", "; style-src 'nonce-"} {
		if !strings.Contains(csp, part) {
			t.Errorf("%s: got the CSP %s, want %s in it", name, csp, part)
		}
	}
	if strings.Contains(csp, "unsafe") || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" ||
		h.Get("Referrer-Policy") == "" || h.Get("Permissions-Policy") == "" || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%s: got the headers %v", name, h)
	}
}

// Tests, password managers and scripts rely on these names.
func TestNamesThatStay(t *testing.T) {
	gallery, _ := newGallery(t)
	for scene, parts := range map[string][]string{
		"signin":          {`id="phone" name="phone" type="tel"`, `autocomplete="tel"`, `inputmode="tel"`, `<button id="submit"`, `name="request" value="sealed"`, `action="/signin"`},
		"waiting":         {`id="waiting"`, `<button id="cancel"`, `<button id="again"`, "disabled"},
		"sign-out":        {`<button id="submit"`, `name="request"`, `action="/logout/confirm"`},
		"signed-out":      {`id="signed-out"`},
		"consent":         {`id="consent"`, `<button id="allow"`, `<button id="deny"`, `<button id="another"`, `name="request"`, `action="/consent"`},
		"account":         {`id="account"`, `id="did"`, `<button id="everywhere"`, `id="download"`, `id="delete"`, `action="/account/revoke"`, `action="/account/signout"`, `action="/account/signout-all"`},
		"account-delete":  {`id="account-delete"`, `<button id="submit"`, `action="/account/delete"`},
		"account-deleted": {`id="account-deleted"`},
		"error-not-found": {`id="error"`, "01JD7K3W9QX4T8Z2"},
	} {
		pagetest.Contains(t, open(gallery, "/"+scene+"?lang=en").Body.String(), parts...)
	}
}
