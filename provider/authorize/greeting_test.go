// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
)

// greeted returns whom the sign-in page of a browser with this device cookie greets, as
// two digits of a number; "" for none.
func greeted(t *testing.T, w *testworld.World, cookie []string, more ...string) string {
	t.Helper()
	device := &http.Cookie{Name: "__Host-calleridp_device", Value: strings.Join(cookie, ".")}
	page, view := w.AuthorizeWith(device, "app", more...).Page()
	if page != "signin" {
		t.Fatalf("got the page %s, want the sign-in page", page)
	}
	known, _ := view["Known"].(map[string]any)
	number, _ := known["Number"].(string)
	return number
}

// The sign-in page greets who has signed in last in the browser, by two digits of the
// number. The button pushes to that number, and its user approves as always.
func TestThreat_AGreetingShowsTwoDigitsAndPushesOnly(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, challenge(authorize.ChallengeOff))
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
			return cookie
		}
		press := func(cookie []string) (string, error) {
			t.Helper()
			s := w.Submission(w.Authorize("app"), "")
			s.Known, s.Devices, s.Browser = true, cookie, "the browser"
			id, err := w.Flow.Submit(t.Context(), s)
			if err != nil {
				return "", err
			}
			view, err := w.Flow.View(t.Context(), id, "the browser")
			if err != nil {
				t.Fatal(err)
			}
			return view.Number + " " + string(view.State), nil
		}
		refused := func(cookie []string) authorize.ProblemKind {
			t.Helper()
			_, err := press(cookie)
			refusal, ok := errors.AsType[*authorize.Refusal](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			if refusal.View.Phone != "" || refusal.View.Known != nil {
				t.Errorf("got the page %+v, want one without a number", refusal.View)
			}
			return refusal.Problem.Kind
		}

		cookie := signIn(testworld.Number, nil)
		both := signIn("+46701740699", cookie)
		if got := greeted(t, w, cookie); got != "+46•••••05" {
			t.Errorf("got %q, want the country and two digits", got)
		}
		if got := greeted(t, w, both); got != "+46•••••99" || len(both) != 3 {
			t.Errorf("two numbers: got %q of %d entries, want the latest", got, len(both))
		}
		if got := greeted(t, w, cookie, "login_hint", "+46701740688"); got != "" {
			t.Errorf("with a login_hint: got %q, want none", got)
		}
		last := len(cookie) - 1
		for what, other := range map[string][]string{
			"no cookie":            nil,
			"no greeting":          cookie[:last],
			"a device as greeting": {"~" + cookie[0]},
			"forged":               {cookie[0], cookie[last][:len(cookie[last])-4] + "AAAA"},
			"no base64":            {"~?"},
			"too long":             append(slices.Repeat(cookie[:1], 4), cookie[last]),
		} {
			if got := greeted(t, w, other); got != "" {
				t.Errorf("%s: got %q, want none", what, got)
			}
			if got := refused(other); got != authorize.PhoneEmpty {
				t.Errorf("%s: pressed, got %s, want %s", what, got, authorize.PhoneEmpty)
			}
		}
		time.Sleep(10 * time.Minute)
		if got, err := press(cookie); err != nil || got != "+46•••••0605 waiting" {
			t.Errorf("pressed: got %q, %v, want a push that waits", got, err)
		}
		time.Sleep(authorize.DeviceLife)
		if got := greeted(t, w, cookie); got != "" {
			t.Errorf("after its life: got %q, want none", got)
		}
	})
}

// A greeting ends when its user signs out everywhere, is deleted, or loses the number.
func TestThreat_AGreetingEndsWithItsUser(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, challenge(authorize.ChallengeOff))
		signIn := func() (cookie []string, sub string) {
			t.Helper()
			time.Sleep(10 * time.Minute)
			id := w.SubmitApproved(w.Authorize("app"), testworld.Number)
			if _, err := w.Continue(id); err != nil {
				t.Fatal(err)
			}
			cookie, err := w.Flow.Remember(t.Context(), id, testworld.Browser, nil)
			if err != nil {
				t.Fatal(err)
			}
			person, err := w.Store.PersonOf(t.Context(), testworld.ParseNumber(t, testworld.Number))
			if err != nil {
				t.Fatal(err)
			}
			return cookie, person.Sub
		}
		for what, end := range map[string]func(sub string) error{
			"a sign-out everywhere": func(sub string) error { return w.Store.EndSessions(t.Context(), sub) },
			"deletion":              func(sub string) error { return w.Store.DeletePerson(t.Context(), sub) },
			"another user": func(string) error {
				time.Sleep(10 * time.Minute)
				p := testworld.Profile(t, testworld.Number)
				p.ID = "another user"
				w.Submit(w.Authorize("app"), testworld.Number)
				w.ApproveAs(p)
				return nil
			},
		} {
			cookie, sub := signIn()
			if got := greeted(t, w, cookie); got == "" {
				t.Fatalf("before %s: got no greeting", what)
			}
			if err := end(sub); err != nil {
				t.Fatal(err)
			}
			if greeted(t, w, cookie) != "" {
				t.Errorf("after %s: got a greeting, want none", what)
			}
		}
	})
}
