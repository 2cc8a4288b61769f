// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
)

func TestLoginHintIsUntrusted(t *testing.T) {
	w := testworld.New(t)
	for hint, want := range map[string]string{
		"+46 70 174 06 05":        "+46 70 174 06 05",
		"070-174 06 05":           "070-174 06 05",
		"f3a1-opaque-id":          "",
		"46701740605 or 1=1":      "",
		strings.Repeat("4", 3000): "",
	} {
		view := w.Authorize("app", "login_hint", hint).WantPage(t, hint, "signin")
		if view["Phone"] != want {
			t.Errorf("login_hint %.40q: got %v filled in, want %q", hint, view["Phone"], want)
		}
	}
	if n := w.Phone.Pushed(); n != 0 {
		t.Errorf("pushes because of a login_hint: got %d, want 0", n)
	}
}

func TestSignInViewNamesTheClient(t *testing.T) {
	w := testworld.New(t)
	a := w.Authorize("public", "redirect_uri", "http://127.0.0.1:51004/cb", "ui_locales", "sv hi-IN")
	v := signInView(t, a)
	if v.Client.Name != "Public" || v.Region != "SE" || v.FormAction != "http://127.0.0.1:51004" ||
		len(v.UILocales) != 2 || v.Problem != nil {
		t.Errorf("loopback redirect URI: got %+v, want the client, its region, form action and two locales", v)
	}
	if v := signInView(t, w.Authorize("public")); v.FormAction != "com.example.app:" {
		t.Errorf("private-use scheme: got form action %q, want com.example.app:", v.FormAction)
	}
}

// signInView returns the view of a sign-in page, without what JSON cannot hold.
func signInView(t *testing.T, a testworld.Response) authorize.SignInView {
	t.Helper()
	var page struct{ View authorize.SignInView }
	a.WantPage(t, "sign-in page", "signin")
	if err := json.Unmarshal([]byte(a.Text), &page); err != nil {
		t.Fatal(err)
	}
	return page.View
}

func TestTheCountriesOfThePage(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) {
		c.Provider.DefaultRegion, c.Provider.Countries = "", []string{"SE", "NO"}
	})
	c := testworld.App("indian")
	c.Region, c.Countries = "IN", []string{"IN", "BD"}
	w.AddClient(c)
	for _, row := range []struct{ id, hint, region, countries string }{
		{"app", "", "", "[SE NO]"},
		{"app", "+91 99999 99999", "IN", "[SE NO]"},
		{"app", "070-174 06 05", "", "[SE NO]"},
		{"indian", "", "IN", "[IN BD]"},
		{"indian", "+46 70 174 06 05", "SE", "[IN BD]"},
		{"indian", "99999 99999", "IN", "[IN BD]"},
		{"indian", "nobody@example.com", "IN", "[IN BD]"},
	} {
		t.Run(row.id+" "+row.hint, func(t *testing.T) {
			_, view := w.Authorize("app", "client_id", row.id, "login_hint", row.hint).Page()
			if view["Region"] != row.region || fmt.Sprint(view["Countries"]) != row.countries {
				t.Errorf("got region %v of %v, want %q of %s",
					view["Region"], view["Countries"], row.region, row.countries)
			}
		})
	}
}
