// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The code on the page calls what the demo calls.
func TestTheCodeOnThePageIsTheDemos(t *testing.T) {
	page, err := files.ReadFile("page.html")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("demo.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(page), "<pre")
	code, _, _ = strings.Cut(code, "</pre>")
	calls := regexp.MustCompile(`\.([A-Z]\w+)\(|\b(ClientID|ClientSecret|Endpoint|RedirectURL|Scopes):`).FindAllStringSubmatch(code, -1)
	if len(calls) < 12 {
		t.Errorf("got %d calls in the code, want at least 12", len(calls))
	}
	for _, call := range calls {
		if name := call[0]; !strings.Contains(string(source), name) {
			t.Errorf("the page shows %s, which the demo does not have", name)
		}
	}
}

func TestPersonOf(t *testing.T) {
	got := personOf(map[string]any{
		"name": "Anna Maria Lind", "phone_number": "+46701740605", "phone_number_verified": true, "email": "anna@example.com",
		"email_verified": false, "address": map[string]any{"formatted": "Street 1\nTown"}, "sub": "s",
	})
	if got.Initials != "AM" || got.Number != "+46701740605" || !got.Verified || len(got.Facts) != 3 ||
		got.Facts[0] != (fact{"E-mail", "anna@example.com", "not verified"}) || got.Facts[1].Value != "Street 1, Town" {
		t.Errorf("got %+v", got)
	}
	if got := personOf(map[string]any{}); got.Name != "Someone" || got.Initials != "S" || len(got.Facts) != 0 {
		t.Errorf("without claims: got %+v", got)
	}
}
