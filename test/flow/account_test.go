// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"

	"golang.org/x/oauth2"
)

var (
	tokenField   = regexp.MustCompile(`name="token" value="([^"]*)"`)
	sessionField = regexp.MustCompile(`name="session" value="([^"]*)"`)
	clientField  = regexp.MustCompile(`name="client" value="([^"]*)"`)
)

// toAccount signs in to the account page itself.
func toAccount(t *testing.T, browser *harness.Browser, number string) harness.Page {
	t.Helper()
	left, page := browser.Follow(browser.Submit(browser.Get(browser.Issuer+"/account"), number), harness.Timeout)
	if left != nil || !page.Has("account") {
		t.Fatalf("the sign-in left to %v or stopped at %s (status %d), want the account page\n%s", left, page.URL, page.Status, page.Body)
	}
	return page
}

// send posts a form of the account page.
func send(browser *harness.Browser, page harness.Page, path string, v url.Values) harness.Page {
	if v == nil {
		v = url.Values{}
	}
	v.Set("token", field(tokenField, page, 0))
	return browser.Post(browser.Issuer+path, v)
}

// field is the value of the nth field on a page.
func field(pattern *regexp.Regexp, page harness.Page, n int) string {
	if found := pattern.FindAllStringSubmatch(page.Body, -1); n < len(found) {
		return html.UnescapeString(found[n][1])
	}
	return ""
}

func TestTheAccountPage(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	number := harness.Number(5)
	laptop, phone := harness.NewBrowser(t, server.Issuer), harness.NewBrowser(t, server.Issuer)

	// Two browsers, and a third-party application with a refresh token.
	page := toAccount(t, laptop, number)
	if !strings.Contains(page.Body, "0605") || strings.Contains(page.Body, "701740605") {
		t.Errorf("the account page does not mask the number:\n%s", page.Body)
	}
	rp := thirdParty(t, server)
	rp.config.Scopes = []string{"openid", "phone", "offline_access"}
	question, verifier := rp.begin(phone, number)
	_, question = phone.Follow(question, harness.Timeout)
	left, at := phone.Follow(decide(phone, question, "allow"), 0)
	if left == nil {
		t.Fatalf("the sign-in with consent stopped at %s (status %d)", at.URL, at.Status)
	}
	tokens, err := rp.config.Exchange(t.Context(), left.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}

	page = laptop.Get(server.Issuer + "/account")
	if got := field(clientField, page, 0); got != "demo-third" || len(sessionField.FindAllString(page.Body, -1)) != 2 {
		t.Fatalf("the account page lists the application %q, want demo-third and two sessions\n%s", got, page.Body)
	}

	// Sign the phone out from the laptop.
	_, page = laptop.Follow(send(laptop, page, "/account/signout", url.Values{"session": {field(sessionField, page, 1)}}), 0)
	if len(sessionField.FindAllString(page.Body, -1)) != 1 || !page.Has("did") {
		t.Errorf("the account page after signing out one session, want one session and a confirmation:\n%s", page.Body)
	}
	if p := phone.Get(server.Issuer + "/account"); !p.Has("phone") {
		t.Errorf("the phone's account page has status %d, want the sign-in form", p.Status)
	}
	refresh := func() error {
		next, err := rp.config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
		if err == nil {
			tokens = next
		}
		return err
	}
	if err := refresh(); err != nil {
		t.Errorf("the refresh token after its session ended: %v, want it to work", err)
	}

	// Take the application's access away. A restart changes nothing about it.
	_, page = laptop.Follow(send(laptop, page, "/account/revoke", url.Values{"client": {"demo-third"}}), 0)
	if clientField.MatchString(page.Body) || !page.Has("did") {
		t.Errorf("the account page after revoking, want no application and a confirmation:\n%s", page.Body)
	}
	server.Stop(os.Interrupt)
	server.Restart()
	if err := refresh(); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("the refresh token after revoking: %v, want invalid_grant", err)
	}

	// A copy of everything.
	page = laptop.Get(server.Issuer + "/account/download")
	file := send(laptop, page, "/account/download", nil)
	var stored map[string]any
	if err := json.Unmarshal([]byte(file.Body), &stored); err != nil || stored["phone_number"] != number || stored["sub"] == "" || file.Header.Get("Content-Disposition") == "" {
		t.Errorf("the download is %d %s (%v), want a file with the number and a sub", file.Status, file.Body, err)
	}

	// Delete the account: its sessions end, and the next sign-in is that of a new
	// user.
	page = laptop.Get(server.Issuer + "/account/delete")
	if !page.Has("account-delete") {
		t.Fatalf("%s is not the page that confirms a deletion:\n%s", page.URL, page.Body)
	}
	_, page = laptop.Follow(send(laptop, page, "/account/delete", nil), 0)
	if !page.Has("account-deleted") {
		t.Fatalf("the deletion stopped at %s (status %d), want its confirmation", page.URL, page.Status)
	}
	if page = laptop.Get(server.Issuer + "/account"); !page.Has("phone") {
		t.Errorf("the account page after the deletion, want the sign-in form:\n%s", page.Body)
	}
	rp = newRelyingParty(t, server)
	page, verifier = rp.begin(laptop, number)
	if claims, at := rp.finish(laptop, page, verifier); claims == nil || claims["sub"] == stored["sub"] {
		t.Errorf("the sign-in after the deletion has the claims %v at %s, want a new sub", claims, at.URL)
	}
	log := server.Logged(`"person.deleted"`)
	if strings.Contains(log, number[1:]) || strings.Contains(log, tokens.RefreshToken) {
		t.Error("the log has a number or a token (invariant 10)")
	}
}

// Signing out everywhere, and what another user's forms may not do.
func TestTheAccountPageIsForItsPerson(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	here, there := harness.NewBrowser(t, server.Issuer), harness.NewBrowser(t, server.Issuer)
	page := toAccount(t, here, harness.Number(5))
	toAccount(t, there, harness.Number(5))
	stranger := harness.NewBrowser(t, server.Issuer)
	strange := toAccount(t, stranger, harness.Number(6))

	if p := here.Post(server.Issuer+"/account/signout-all", url.Values{"token": {field(tokenField, strange, 0)}}); p.Status != http.StatusForbidden {
		t.Errorf("signing out with another user's token got %d, want 403", p.Status)
	}
	send(stranger, strange, "/account/signout", url.Values{"session": {field(sessionField, page, 0)}})
	if p := here.Get(server.Issuer + "/account"); !p.Has("account") {
		t.Error("another user's form has signed the user out")
	}
	_, done := here.Follow(send(here, page, "/account/signout-all", nil), 0)
	if !done.Has("signed-out") {
		t.Errorf("signing out everywhere stopped at %s (status %d), want its confirmation", done.URL, done.Status)
	}
	for _, browser := range []*harness.Browser{here, there} {
		if p := browser.Get(server.Issuer + "/account"); !p.Has("phone") {
			t.Errorf("the account page after signing out everywhere has status %d, want the sign-in form", p.Status)
		}
	}
	if p := stranger.Get(server.Issuer + "/account"); !p.Has("account") {
		t.Error("signing out everywhere has signed another user out")
	}
}

// With a database of countries, users see from which country they signed in.
func TestTheAccountPageNamesTheCountry(t *testing.T) {
	t.Parallel()
	database, err := filepath.Abs("../../cmd/calleridp/config/testdata/config/files/country.mmdb") // 127.0.0.0/8 is in Sweden
	if err != nil {
		t.Fatal(err)
	}
	server := serveSimulated(t, simulator.Config{}, "country_database: "+database+"\n")
	browser := harness.NewBrowser(t, server.Issuer)
	if page := toAccount(t, browser, harness.Number(5)); !strings.Contains(page.Body, "<bdi>Sweden</bdi>") {
		t.Errorf("the account page does not name Sweden:\n%s", page.Body)
	}
}
