// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// signedIn returns the tokens of a registered client in a session, after the consent if one
// is needed.
func signedIn(t *testing.T, w *testworld.World, registered testworld.Response, session *http.Cookie, redirect string) map[string]any {
	t.Helper()
	id := registered.Member("client_id")
	got := w.AuthorizeWith(session, id, "redirect_uri", redirect)
	if page, _ := got.Page(); page == "consent" {
		got = w.Allow(testworld.SealedRequest(t, got, "consent"), session)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {got.Code()}, "redirect_uri": {redirect}, "code_verifier": {testworld.Verifier}}
	return testworld.TokensIn(t, w.Post("/token", form, testworld.Basic(id, registered.Member("client_secret")))).Claims(t)
}

// The same person has the same sub at all clients of a sector, and another one, with another
// sid, at each other sector (OpenID Connect Core §8.1).
func TestSectorsOfRegisteredClients(t *testing.T) {
	w := worldWith(t, open())
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	const other = "https://other.example/cb"
	pairwise := func(redirect, members string) testworld.Response {
		return register(w, `{"subject_type":"pairwise","redirect_uris":["`+redirect+`"]`+members+`}`)
	}
	listed := `,"sector_identifier_uri":"` + sector + `"`
	seen := map[string]map[string]any{
		"by its host":             signedIn(t, w, pairwise(callback, ""), session, callback),
		"another of that host":    signedIn(t, w, pairwise("https://APP.example/two", ""), session, "https://APP.example/two"),
		"another host":            signedIn(t, w, pairwise(other, ""), session, other),
		"by a document":           signedIn(t, w, pairwise(callback, listed), session, callback),
		"another of the document": signedIn(t, w, pairwise(other, listed), session, other),
		"public":                  signedIn(t, w, register(w, with("")), session, callback),
	}
	same := [][2]string{{"by its host", "another of that host"}, {"by a document", "another of the document"}}
	for a, one := range seen {
		for b, two := range seen {
			want := a == b
			for _, pair := range same {
				want = want || pair == [2]string{a, b} || pair == [2]string{b, a}
			}
			for _, claim := range []string{"sub", "sid"} {
				if (one[claim] == two[claim]) != want {
					t.Errorf("%s and %s: got the same %s %v, want %v", a, b, claim, !want, want)
				}
			}
		}
	}
}

// A client that is in use keeps its sector and its kind of sub: it would see two subs of one
// person, and link them.
func TestThreat_AClientInUseKeepsItsSector(t *testing.T) {
	const other = "https://other.example/cb"
	for _, row := range []struct {
		what, first, then string
		refused           string // the member
	}{
		{"nothing", `"subject_type":"pairwise","redirect_uris":["` + callback + `"]`, `"subject_type":"pairwise","redirect_uris":["https://app.example/two"]`, ""},
		{"to another host", `"subject_type":"pairwise","redirect_uris":["` + callback + `"]`, `"subject_type":"pairwise","redirect_uris":["` + other + `"]`, "sector_identifier_uri"},
		{"to a document", `"subject_type":"pairwise","redirect_uris":["` + callback + `"]`, `"subject_type":"pairwise","redirect_uris":["` + callback + `"],"sector_identifier_uri":"` + sector + `"`, "sector_identifier_uri"},
		{"to public", `"subject_type":"pairwise","redirect_uris":["` + callback + `"]`, `"redirect_uris":["` + callback + `"]`, "subject_type"},
		{"to pairwise", `"redirect_uris":["` + callback + `"]`, `"subject_type":"pairwise","redirect_uris":["` + callback + `"]`, "subject_type"},
		{"public, to another host", `"redirect_uris":["` + callback + `"]`, `"redirect_uris":["` + other + `"]`, ""},
	} {
		for _, used := range []bool{false, true} {
			w := worldWith(t, open())
			_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
			got := register(w, "{"+row.first+"}")
			if used {
				signedIn(t, w, got, session, callback)
			}
			target, token := manages(t, got)
			changed := send(w, http.MethodPut, target, `{"client_id":"`+got.Member("client_id")+`",`+row.then+`}`, token)
			refused := used && row.refused != ""
			if (changed.StatusCode == http.StatusBadRequest) != refused || refused && !strings.HasPrefix(changed.Member("error_description"), row.refused+": ") {
				t.Errorf("%s, used %v: got %s, want a refusal %v", row.what, used, changed, refused)
			}
		}
	}
}

// A host is written in any case.
func TestSectorIsLowerCase(t *testing.T) {
	for _, c := range []client.Client{
		{RedirectURIs: []string{"https://App.example/cb", "https://app.EXAMPLE:8443/cb"}},
		{SectorHost: "APP.example"},
	} {
		if got := c.Sector(); got != "app.example" {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}
