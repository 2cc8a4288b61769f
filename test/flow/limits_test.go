// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

// visit opens the sign-in page of the production server's client.
func visit(t *testing.T, browser *harness.Browser, server *harness.Production) harness.Page {
	t.Helper()
	page := browser.Get(server.AuthorizationURL())
	if page.Status != http.StatusOK {
		t.Fatalf("the sign-in page has status %d, want 200\n%s", page.Status, page.Body)
	}
	return page
}

// told returns a page without what differs by chance: nonces, sealed requests, the
// number itself, seconds.
func told(page harness.Page) string {
	body := page.Body
	for pattern, with := range map[string]string{
		`name="challenge" value="[^"]*"`: `name="challenge"`, `data-seed="[^"]*"`: `data-seed=""`,
		`nonce="[^"]*"`: `nonce=""`, `name="request" value="[^"]*"`: `name="request"`, `/attempt/[A-Za-z0-9_-]{22}`: "/attempt/id",
		`name="retry" value="\d+"`: `name="retry"`, `46 •+ \d+`: "masked", `467017406\d\d`: "number", `data-(seconds|again)="\d+"`: `data-seconds=""`, `\d+:\d\d`: "m:ss",
		`/continue\?for=[A-Za-z0-9_-]+`: "/continue", // the request that the page has shown
	} {
		body = regexp.MustCompile(pattern).ReplaceAllString(body, with)
	}
	return strconv.Itoa(page.Status) + "\n" + body
}

// differing returns the first line in which two pages differ.
func differing(with, without string) string {
	a, b := strings.Split(with, "\n"), strings.Split(without, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "with an account: " + a[i] + "\nwithout:         " + b[i]
		}
	}
	return "one has more lines"
}

// The pages of a number that never responds (09) and of one without an account (17)
// are the same to the word, until the budget of the number is spent.
func TestInvariant7_PagesDoNotTellWhoHasAnAccount(t *testing.T) {
	t.Parallel()
	// The attempt and its lock must outlast the pages that are read before their
	// expiry. On a machine that is too slow for that, both walks start again with more
	// time.
	for _, lifetime := range []time.Duration{2 * time.Second, 10 * time.Second, 30 * time.Second} {
		walks, fast := walkBoth(t, lifetime)
		if t.Failed() {
			return
		}
		if fast {
			compareWalks(t, walks[0], walks[1])
			return
		}
		t.Logf("too slow for attempts of %s", lifetime)
	}
	t.Error("this machine is too slow even for attempts of 30 seconds")
}

// walk is what a user sees who submits a number until its budget is spent.
type walk struct {
	pages []string      // each round: the attempt, a submission by another browser, how it ended; then the refusal
	waits time.Duration // from the first submission until the number may be submitted again
}

// walkBoth walks with 09 and 17 at the same time. It reports whether the pages of
// every round were read before their attempt expired.
func walkBoth(t *testing.T, lifetime time.Duration) (walks [2]walk, fast bool) {
	server := serveSimulated(t, simulator.Config{}, fmt.Sprintf("limits: {lock: %s, cool_down: 1s, number: 3/12h}\nlifetimes: {attempt: %[1]s}\n", lifetime))
	var slow atomic.Bool
	t.Run(lifetime.String(), func(t *testing.T) {
		for i, xx := range []int{9, 17} {
			t.Run(harness.Number(xx), func(t *testing.T) {
				t.Parallel()
				number, browser := harness.Number(xx), harness.NewBrowser(t, server.Issuer)
				elsewhere := harness.NewBrowser(t, server.Issuer)
				var first time.Time
				for range 3 {
					form := visit(t, browser, server)
					begun := time.Now()
					if first.IsZero() {
						first = begun
					}
					page := browser.Submit(form, number)
					if page.Status != http.StatusSeeOther {
						t.Fatalf("submitted: status %d, want 303\n%s", page.Status, page.Body)
					}
					at := server.Issuer + page.Header.Get("Location")
					walks[i].pages = append(walks[i].pages, told(browser.Get(at)), told(elsewhere.Submit(visit(t, elsewhere, server), number)))
					if time.Since(begun) >= lifetime {
						slow.Store(true)
						return
					}
					harness.Eventually(t, "the attempt's expiry", func() bool { page = browser.Get(at); return page.Has("ended") })
					walks[i].pages = append(walks[i].pages, told(page))
				}
				last := browser.Submit(visit(t, browser, server), number)
				retryAfter, err := strconv.Atoi(last.Header.Get("Retry-After"))
				if err != nil || retryAfter < 3600 {
					t.Errorf("Retry-After is %q, want at least an hour in seconds", last.Header.Get("Retry-After"))
				}
				walks[i].pages = append(walks[i].pages, told(last))
				walks[i].waits = time.Since(first) + time.Duration(retryAfter)*time.Second
			})
		}
	})
	return walks, !slow.Load()
}

func compareWalks(t *testing.T, with, without walk) {
	for i := range with.pages {
		if with.pages[i] != without.pages[i] {
			t.Errorf("page %d differs at:\n%s", i, differing(with.pages[i], without.pages[i]))
		}
	}
	if d := with.waits - without.waits; d.Abs() > 30*time.Second {
		t.Errorf("the number may be submitted again after %s with an account, %s without; want the same", with.waits, without.waits)
	}
	for i, text := range map[int]string{
		0: "You have 2 attempts left for now", 1: "You can send a new one in 1\u00a0minute", 3: "You have one attempt left for now",
		8: "Another request can be sent to this number in 4\u00a0hours", 9: "You can try again in 4\u00a0hours",
	} {
		if !strings.Contains(with.pages[i], text) {
			t.Errorf("page %d does not say %q:\n%s", i, text, with.pages[i])
		}
	}
}
