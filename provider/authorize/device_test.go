// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
)

// A browser that has signed in with a number keeps a device cookie, and a stranger's
// open push does not stop it. The cookie is good for that number, its user and that
// cookie's life, and for nothing else.
func TestThreat_ADeviceCookieIsALaneAndNoMore(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, challenge(authorize.ChallengeOff))
		const other = "+46701740699"
		signIn := func(number string, cookie []string) []string {
			t.Helper()
			id := w.SubmitApproved(w.Authorize("app"), number)
			if _, err := w.Continue(id); err != nil {
				t.Fatal(err)
			}
			cookie, err := w.Flow.Remember(t.Context(), id, testworld.Browser, cookie)
			if err != nil {
				t.Fatal(err)
			}
			if last := len(cookie) - 1; !strings.HasPrefix(cookie[last], "~") {
				t.Fatalf("got the cookie %v, want a greeting at its end", cookie)
			}
			return cookie[:len(cookie)-1] // greeting_test.go looks at the greeting
		}
		as := func(number string, browser login.BrowserSecret, cookie []string) authorize.ProblemKind {
			t.Helper()
			s := w.Submission(w.Authorize("app"), number)
			s.Browser, s.Devices = browser, cookie
			_, err := w.Flow.Submit(t.Context(), s)
			refusal, ok := errors.AsType[*authorize.Refusal](err)
			if err != nil && !ok {
				t.Fatal(err)
			}
			if !ok {
				return ""
			}
			return refusal.Problem.Kind
		}
		cookie := signIn(testworld.Number, nil)
		if len(cookie) != 1 || strings.Contains(cookie[0], "46701740605") {
			t.Fatalf("got the cookie %v, want one sealed device", cookie)
		}
		both := signIn(other, cookie)
		if len(both) != 2 || both[1] != cookie[0] {
			t.Fatalf("two numbers: got %v, want both, the latest first", both)
		}
		if renewed := signIn(testworld.Number, both); len(renewed) != 2 || slices.Contains(renewed, cookie[0]) || renewed[1] != both[0] {
			t.Errorf("the first number again: got %v, want it renewed, and first", renewed)
		}

		three := signIn("+46701740698", both)
		if four := signIn("+46701740697", three); len(four) != 3 || four[1] != three[0] || four[2] != three[1] {
			t.Errorf("a fourth number: got %d devices, want the latest three", len(four))
		}

		for _, number := range []string{testworld.Number, other} { // a stranger asks for both
			if got := as(number, "stranger", nil); got != "" {
				t.Fatalf("a stranger: got %s", got)
			}
		}
		forged := []string{cookie[0][:len(cookie[0])-4] + "AAAA"}
		for what, row := range map[string]struct {
			number string
			cookie []string
		}{
			"no cookie":                  {testworld.Number, nil},
			"a forged cookie":            {testworld.Number, forged},
			"another number's":           {other, cookie},
			"beyond the first of many":   {testworld.Number, append(slices.Repeat(forged, 3), cookie...)},
			"a cookie that is not one":   {testworld.Number, []string{"", "x", "\x00"}},
			"the other number's cookie ": {testworld.Number, both[:1]},
		} {
			if got := as(row.number, "unknown", row.cookie); got != authorize.LockedElsewhere {
				t.Errorf("%s: got the problem %q, want %s", what, got, authorize.LockedElsewhere)
			}
		}
		if got := as(testworld.Number, "known", cookie); got != "" {
			t.Errorf("the known browser: got the problem %q, want none", got)
		}
		if got := as(testworld.Number, "known, after a sign-out", cookie); got != authorize.Locked {
			t.Errorf("the known browser once more: got the problem %q, want %s", got, authorize.Locked)
		}
		// The number has another user now.
		time.Sleep(10 * time.Minute)
		p := testworld.Profile(t, testworld.Number)
		p.ID = "somebody else"
		w.Submit(w.Authorize("app"), testworld.Number)
		w.ApproveAs(p)
		if got := as(testworld.Number, "stranger", nil); got != "" {
			t.Fatalf("a stranger: got %s", got)
		}
		if got := as(testworld.Number, "of the user before", cookie); got != authorize.LockedElsewhere {
			t.Errorf("the browser of the user before: got the problem %q, want %s", got, authorize.LockedElsewhere)
		}
		time.Sleep(authorize.DeviceLife)
		as(other, "stranger", nil)
		if got := as(other, "known", both); got != authorize.LockedElsewhere {
			t.Errorf("after the cookie's life: got the problem %q, want %s", got, authorize.LockedElsewhere)
		}
	})
}

// Who signs out everywhere ends the lanes of all their browsers, also that of a copied
// cookie. A browser has one again after its next sign-in, and no copy of the old cookie.
// An attempt that was approved before the sign-out gives neither a lane nor a session: it
// has ended.
func TestThreat_SigningOutEverywhereEndsTheLanes(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, challenge(authorize.ChallengeOff))
		approved := func() login.ID { return w.SubmitApproved(w.Authorize("app"), testworld.Number) }
		remember := func(id login.ID, cookie []string) []string {
			t.Helper()
			if _, err := w.Continue(id); err != nil {
				t.Fatal(err)
			}
			cookie, err := w.Flow.Remember(t.Context(), id, testworld.Browser, cookie)
			if err != nil {
				t.Fatal(err)
			}
			return cookie
		}
		strangers := 0
		known := func(what string, cookie []string, want bool) {
			t.Helper()
			time.Sleep(10 * time.Minute)
			strangers++
			s := w.Submission(w.Authorize("app"), testworld.Number)
			s.Browser, s.Network = login.BrowserSecret(fmt.Sprint("stranger ", strangers)), fmt.Sprintf("198.51.%d.1/32", strangers)
			solve := func(err error) {
				if refusal, ok := errors.AsType[*authorize.Refusal](err); ok && refusal.Problem.Kind == authorize.Unsolved {
					time.Sleep(24 * time.Hour) // the number cools down
					_, err = w.Flow.Submit(t.Context(), s)
				}
				if err != nil {
					t.Fatalf("%s: a stranger: %v", what, err)
				}
			}
			_, err := w.Flow.Submit(t.Context(), s)
			solve(err)
			s.Browser, s.Devices = login.BrowserSecret("its browser, "+what), cookie
			_, err = w.Flow.Submit(t.Context(), s)
			if (err == nil) != want {
				t.Errorf("%s: got %v, want a lane: %v", what, err, want)
			}
			time.Sleep(10 * time.Minute)
		}
		first := remember(approved(), nil)
		known("after a sign-in", first, true)
		late := approved()
		person, err := w.Store.PersonOf(t.Context(), testworld.ParseNumber(t, testworld.Number))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Store.EndSessions(t.Context(), person.Sub); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Continue(late); !errors.Is(err, login.ErrState) {
			t.Errorf("approved before the sign-out: got %v, want %v", err, login.ErrState)
		}
		if v, err := w.Flow.View(t.Context(), late, testworld.Browser); err != nil || v.State != login.Rejected {
			t.Errorf("approved before the sign-out: it is %s (%v), want %s", v.State, err, login.Rejected)
		}
		finished, err := w.Flow.Remember(t.Context(), late, testworld.Browser, first)
		if err != nil {
			t.Fatal(err)
		}
		known("after the sign-out", first, false)
		known("approved before the sign-out", finished, false)
		again := remember(approved(), first)
		known("after the next sign-in", again, true)
		known("a copy of the old cookie", first, false)
	})
}

// A known browser needs no challenge, and may have the reserve.
func TestAKnownBrowserNeedsNoChallenge(t *testing.T) {
	w := testworld.New(t, challenge(authorize.ChallengeAlways))
	id, err := w.Flow.Submit(t.Context(), signInPage(t, w).solved(testworld.Number))
	if err != nil {
		t.Fatal(err)
	}
	w.Approve(testworld.Number)
	if _, err := w.Continue(id); err != nil {
		t.Fatal(err)
	}
	cookie, err := w.Flow.Remember(t.Context(), id, testworld.Browser, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := w.Submission(w.Authorize("app"), testworld.Number)
	if refusal := submit(t, w, s); refusal == nil || refusal.Problem.Kind != authorize.Unsolved {
		t.Errorf("an unknown browser: got %+v, want %s", refusal, authorize.Unsolved)
	}
	s.Devices = cookie
	if refusal := submit(t, w, s); refusal != nil {
		t.Errorf("a known browser: got %+v, want no refusal", refusal)
	}
}
