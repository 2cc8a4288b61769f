// SPDX-License-Identifier: Apache-2.0

package page

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/login"
	"calleridp/ui/pagetest"
)

var primary = regexp.MustCompile(`<button [^>]*class="primary[^>]*>([^<]+)<`)

// However an attempt has ended: the first button of the page works now. What does not
// is disabled, and the page says when it will.
func TestTheFirstButtonOfAnEndedAttemptWorks(t *testing.T) {
	const again, afresh, another, typeIt, leave = "Try again", "Send a new request", "Use another number", "Enter my number instead", "Back to "
	const disabled = `<button id="again" class="secondary" disabled>`
	synctest.Test(t, func(t *testing.T) {
		p, now := newPages(t), time.Now()
		later := now.Add(5 * time.Minute)
		ends := []authorize.AttemptView{
			{State: login.Expired},
			{State: login.Failed, Reason: login.PhoneMismatch},
			{State: login.Failed, Reason: login.ProfileFailed},
			{State: login.Failed, Reason: login.Unavailable},
			{State: login.Rejected, Reason: login.AnotherNumber},
			{State: login.Rejected, Reason: login.Cancelled},
			{State: login.Rejected, Reason: login.UserRejected},
		}
		for _, end := range ends {
			for _, row := range []struct {
				what   string
				change func(*authorize.AttemptView)
				want   string
				locked bool
			}{
				{"free", func(*authorize.AttemptView) {}, again, false},
				{"locked", func(v *authorize.AttemptView) { v.AgainAt = later }, another, true},
				{"locked for hours", func(v *authorize.AttemptView) { v.AgainAt = now.Add(5 * time.Hour) }, another, true},
				{"locked, and the network has no tries", func(v *authorize.AttemptView) { v.AgainAt, v.AnotherAt = later, later }, leave, true},
				{"one-tap, free", func(v *authorize.AttemptView) { v.Method, v.Number = login.OneTap, "" }, again, false},
				{"one-tap, refused", func(v *authorize.AttemptView) { v.Method, v.Number, v.AgainAt = login.OneTap, "", later }, typeIt, true},
				{"one-tap alone, refused", func(v *authorize.AttemptView) {
					v.Method, v.Number, v.AgainAt, v.WithoutPush = login.OneTap, "", later, true
				}, leave, true},
			} {
				v := pagetest.Attempt()
				v.State, v.Reason, v.AgainAt = end.State, end.Reason, now
				row.change(&v)
				page := drawEnded(p, v).Body.String()
				what := string(end.State) + " " + string(end.Reason) + ", " + row.what
				pagetest.WellFormed(t, what, page)
				want := row.want
				switch {
				case row.want != again:
				case end.Reason == login.AnotherNumber, end.Reason == login.PhoneMismatch:
					want = another // what the user has chosen on the phone, or whose phone it was
				case end.State == login.Expired:
					want = afresh
				}
				buttons := primary.FindAllStringSubmatch(page, -1)
				if len(buttons) != 1 || !strings.HasPrefix(buttons[0][1], want) {
					t.Errorf("%s: got the primary buttons %q, want %q alone", what, buttons, want)
				}
				if got := strings.Contains(page, disabled); got != row.locked {
					t.Errorf("%s: got a disabled button %v, want %v", what, got, row.locked)
				}
				if got := strings.Contains(page, "<script"); got != row.locked {
					t.Errorf("%s: got a script %v, want one where there is something to count", what, got)
				}
			}
		}
	})
}

// Without a script, the page says in words when the same number may be tried again, and
// shows itself again then. With one, it counts down, and screen readers hear of the end.
func TestAnEndedAttemptCountsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t)
		v := pagetest.Attempt()
		v.State, v.Reason, v.AgainAt = login.Rejected, login.Cancelled, time.Now().Add(4*time.Minute+2*time.Second)
		pagetest.Want(t, drawEnded(p, v), 200,
			`<noscript><meta http-equiv="refresh" content="242"></noscript>`,
			`data-again="242"`,
			"<span class=\"still\">Another request can be sent to this number in 5\u00a0minutes.</span>",
			`<span class="live">Another request can be sent to this number in <span id="again-in" class="clock" data-seconds="242" data-zero="0">4:02</span>.</span>`,
			`<span id="now" role="status" data-text="Another request can be sent to this number now."></span>`)

		tap := v // it names no number
		tap.Method, tap.Number = login.OneTap, ""
		pagetest.Contains(t, drawEnded(p, tap).Body.String(), `<span id="now" role="status" data-text="Try again"></span>`)

		v.AgainAt = time.Now().Add(5 * time.Hour) // no clock counts hours
		page := drawEnded(p, v).Body.String()
		pagetest.Contains(t, page, "Another request can be sent to this number in 5\u00a0hours.")
		if strings.Contains(page, "refresh") || strings.Contains(page, "again-in") {
			t.Errorf("got a clock of hours, or a refresh:\n%s", page)
		}
	})
}

// A number that cools down takes a challenge. Without a script that is refused, so the
// page says so, and leads with another number.
func TestAnEndedAttemptWhoseNumberCoolsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, now := newPages(t), time.Now()
		v := pagetest.Attempt()
		v.State, v.AgainAt, v.UnsolvedAt = login.Expired, now, now.Add(9*time.Minute)
		page := drawEnded(p, v).Body.String()
		pagetest.WellFormed(t, "cooling down", page)
		pagetest.Contains(t, page,
			"<noscript><p class=\"problem\">"+string(icon("problem"))+"Before we send a request to your phone, your browser must pass a short check, which needs JavaScript. Turn JavaScript on, or come back in 9\u00a0minutes.</p></noscript>",
			`<noscript><button class="primary" name="another" value="1">Use another number</button></noscript>`,
			`<button class="primary scripted">Send a new request</button>`)
		v.AnotherAt = v.UnsolvedAt
		if page := drawEnded(p, v).Body.String(); strings.Contains(page, "Use another number") {
			t.Errorf("got another number, for which the network has no tries:\n%s", page)
		}
	})
}
