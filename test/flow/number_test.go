// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// through is a trusted proxy in front of the server, for a browser at an address.
type through string

func (f through) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", string(f))
	return http.DefaultTransport.RoundTrip(r)
}

// browserAt returns a new browser at an address.
func browserAt(t *testing.T, server *harness.Production, address string) *harness.Browser {
	browser := harness.NewBrowser(t, server.Issuer)
	browser.Transport = through(address)
	return browser
}

var (
	seedAttr       = regexp.MustCompile(`data-seed="([^"]*)"`)
	bitsAttr       = regexp.MustCompile(`data-bits="([^"]*)"`)
	challengeField = regexp.MustCompile(`name="challenge" value="([^"]*)"`)
)

// submitSolved opens the sign-in page at an address, solves its challenge, as challenge.js
// does, and submits a number.
func submitSolved(t *testing.T, browser *harness.Browser, at, number string) harness.Page {
	t.Helper()
	page := browser.Get(at)
	attr := func(pattern *regexp.Regexp) string {
		m := pattern.FindStringSubmatch(page.Body)
		if m == nil {
			t.Fatalf("no %s on the page, status %d\n%s", pattern, page.Status, page.Body)
		}
		return html.UnescapeString(m[1])
	}
	bits, err := strconv.Atoi(attr(bitsAttr))
	if err != nil {
		t.Fatal(err)
	}
	solution := 0
	for seed := attr(seedAttr); ; solution++ {
		hash := sha256.Sum256(fmt.Append(nil, seed, solution))
		if binary.BigEndian.Uint32(hash[:])>>(32-bits) == 0 {
			break
		}
	}
	return browser.Post(browser.Issuer+"/signin", url.Values{
		"request": {page.Sealed()}, "phone": {number}, "challenge": {attr(challengeField)}, "solution": {strconv.Itoa(solution)},
	})
}

// Whoever solves a challenge for each push gets, from one network, that network's share of
// the number's budget. Others sign in with the number from browsers that nobody knows, and
// an approved push costs the number nothing. Whoever has several networks gets the whole
// budget, which bounds how often the phone rings and closes the number to unknown browsers,
// but not to those that have signed in with it.
func TestThreat_TheNumbersBudgetBoundsWhoeverSolves(t *testing.T) {
	t.Parallel()
	a := &attack{T: t, vendor: newVendor(t)}
	a.server = harness.Serve(t, a.vendor.URL, "trusted_proxies: [127.0.0.1/32]\n"+
		"limits: {lock: 1s, after_approval: 1s, cool_down: 1s, cool_down_max: 1s, challenge: always, challenge_bits: 8, number: 5/24h, number_per_network: 2/24h}\n")
	number := harness.Number(1)
	free := func() {
		t.Helper()
		harness.Eventually(t, "the lock's end", func() bool {
			out, err := harness.Run(t, "limit", "show", number, "--socket", a.server.Socket)
			return err == nil && strings.Contains(out, "not locked")
		})
	}
	push := func(browser *harness.Browser, at string) harness.Page {
		t.Helper()
		free()
		return submitSolved(t, browser, at, number)
	}
	attacks := func(address string, rings bool) {
		t.Helper()
		before := len(a.vendor.pushes())
		page := push(browserAt(t, a.server, address), a.server.AuthorizationURL())
		rang := len(a.vendor.pushes()) > before
		wait, _ := strconv.Atoi(page.Header.Get("Retry-After"))
		if rang != rings || !rings && (page.Status != http.StatusTooManyRequests || wait < 3600) {
			t.Fatalf("from %s: status %d, Retry-After %d, rang %v; want %v", address, page.Status, wait, rang, rings)
		}
	}
	attacks("192.0.2.1", true)
	attacks("192.0.2.1", true)
	attacks("192.0.2.1", false) // an address
	attacks("192.0.2.2", true)
	attacks("192.0.2.3", true)
	attacks("192.0.2.4", false) // and a /24

	// The person, elsewhere.
	a.browser = browserAt(t, a.server, "198.51.100.1")
	_, a.waiting = a.browser.Follow(push(a.browser, a.server.AuthorizationURL()), 0)
	if !a.waiting.Has("waiting") {
		t.Fatalf("the person gets status %d\n%s", a.waiting.Status, a.waiting.Body)
	}
	states := a.vendor.pushes()
	a.state = states[len(states)-1]
	a.grants("persons-token", 1)
	if status, _ := a.post(a.rightPath(), map[string]string{"state": a.state, "accessToken": "persons-token", "endpoint": a.vendor.URL + "/v1/default"}); status != http.StatusOK {
		t.Fatalf("the callback gets status %d", status)
	}
	if outcome := a.outcome(); outcome != "signed in" {
		t.Fatalf("the person is %q", outcome)
	}

	attacks("203.0.113.1", true) // the fifth: the person's push has cost nothing
	attacks("203.0.114.1", false)
	attacks("198.51.100.1", false)
	page := push(a.browser, a.server.AuthorizationURL()+"&prompt=login")
	if page.Status != http.StatusSeeOther {
		t.Errorf("a browser that has signed in with the number gets status %d\n%s", page.Status, page.Body)
	}
}
