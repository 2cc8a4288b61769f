// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"calleridp/test/harness"

	"golang.org/x/oauth2"
)

// thirdParty is the client of `calleridp dev` that needs consent.
func thirdParty(t *testing.T, server *harness.Server) *relyingParty {
	t.Helper()
	rp := newRelyingParty(t, server)
	rp.config.ClientID, rp.config.ClientSecret = "demo-third", "demo-third-secret"
	return rp
}

// open opens the authorization endpoint.
func (rp *relyingParty) open(browser *harness.Browser, options ...oauth2.AuthCodeOption) (harness.Page, string) {
	rp.t.Helper()
	verifier := oauth2.GenerateVerifier()
	return browser.Get(rp.config.AuthCodeURL("state", append(options, oauth2.S256ChallengeOption(verifier))...)), verifier
}

func decide(browser *harness.Browser, page harness.Page, decision string) harness.Page {
	return browser.Post(browser.Issuer+"/consent", url.Values{"request": {page.Sealed()}, "decision": {decision}})
}

// A third party gets nothing before the user consents. The consent is remembered until
// the client requests more.
func TestConsentOfAThirdParty(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	rp := thirdParty(t, server)
	rp.config.Scopes = []string{"openid", "phone"}
	browser := harness.NewBrowser(t, server.Issuer)

	page, _ := rp.begin(browser, harness.Number(5))
	left, page := browser.Follow(page, harness.Timeout)
	if left != nil || !page.Has("consent") || !page.Has("allow") || !page.Has("deny") {
		t.Fatalf("left to %v or stopped at %s (status %d), want the consent prompt\n%s", left, page.URL, page.Status, page.Body)
	}
	if strings.Contains(page.Body, harness.Number(5)) || !strings.Contains(page.Body, "0605") {
		t.Errorf("the consent prompt does not mask the number:\n%s", page.Body)
	}
	left, _ = browser.Follow(decide(browser, page, "deny"), 0)
	if left == nil || left.Query().Get("error") != "access_denied" || left.Query().Get("iss") != server.Issuer {
		t.Fatalf("denied, and left to %v, want access_denied and iss", left)
	}

	// The session needs consent as well; after consent there is no prompt.
	page, verifier := rp.open(browser)
	if !page.Has("consent") {
		t.Fatalf("status %d to %q, want the consent prompt again", page.Status, page.Header.Get("Location"))
	}
	if claims, at := rp.finishWithin(0, browser, decide(browser, page, "allow"), verifier); claims == nil || claims["phone_number"] != harness.Number(5) {
		t.Fatalf("allowed, with the claims %v; stopped at %s (status %d)", claims, at.URL, at.Status)
	}
	page, verifier = rp.open(browser)
	if claims, at := rp.finishWithin(0, browser, page, verifier); claims == nil {
		t.Errorf("the next sign-in stopped at %s (status %d), want no prompt", at.URL, at.Status)
	}
	rp.config.Scopes = []string{"openid", "phone", "profile"}
	if page, _ = rp.open(browser); !page.Has("consent") {
		t.Errorf("status %d for one more scope, want the consent prompt", page.Status)
	}
	page, _ = rp.open(browser, oauth2.SetAuthURLParam("prompt", "none"))
	if left, _ := browser.Follow(page, 0); left == nil || left.Query().Get("error") != "consent_required" {
		t.Errorf("prompt=none left to %v, want consent_required", left)
	}

	// It survives a restart, and the store still knows.
	rp.config.Scopes = []string{"openid", "phone"}
	server.Stop(os.Interrupt)
	server.Restart()
	page, _ = rp.open(browser, oauth2.SetAuthURLParam("prompt", "none"))
	if left, _ := browser.Follow(page, 0); left == nil || left.Query().Get("code") == "" {
		t.Errorf("prompt=none after a restart left to %v, want a code", left)
	}
}

// The operator's own applications need no consent, unless they request it.
func TestConsentThatAFirstPartyWants(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	rp := newRelyingParty(t, server)
	browser := harness.NewBrowser(t, server.Issuer)
	verifier := oauth2.GenerateVerifier()
	page := browser.Get(rp.config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("prompt", "consent")))
	_, page = browser.Follow(browser.Submit(page, harness.Number(5)), harness.Timeout)
	if !page.Has("consent") {
		t.Fatalf("stopped at %s (status %d), want the consent prompt", page.URL, page.Status)
	}
	if claims, at := rp.finishWithin(0, browser, decide(browser, page, "allow"), verifier); claims == nil {
		t.Errorf("allowed, and stopped at %s (status %d)", at.URL, at.Status)
	}
}
