// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/truecaller"
)

var nonce = strings.Repeat("n", 43)

func offersOneTap(c *login.Config) {
	c.Apps = map[string]truecaller.App{
		"main":   {ID: "main", OneTap: &truecaller.Dialog{}},
		"second": {ID: "second"},
		"first":  {ID: "first", OneTap: &truecaller.Dialog{FirstOfSeveral: true}},
	}
}

func (w *world) tap(change ...func(*login.OneTapRequest)) (login.Attempt, error) {
	s := login.OneTapRequest{Nonce: redact.Text(nonce), App: "main", ClientID: "demo", Browser: browser, Network: "192.0.2.7/32", Request: []byte("the request")}
	for _, c := range change {
		c(&s)
	}
	return w.engine.StartOneTap(w.t.Context(), s)
}

// tapped is a delivery for a one-tap link, as Truecaller sends it: our nonce as
// requestId, and no state.
func (w *world) tapped(change ...func(*truecaller.Delivery)) truecaller.Delivery {
	w.t.Helper()
	return w.callback(append([]func(*truecaller.Delivery){func(d *truecaller.Delivery) { d.RequestID, d.State = nonce, "" }}, change...)...)
}

func (d *truecallerDouble) quiet() { d.states = append(d.states, "") }

func TestOneTap(t *testing.T) {
	w := newWorld(t, offersOneTap)
	w.phone.quiet()
	a, err := w.tap()
	w.must(err)
	if a.State != login.Waiting || a.Method != login.OneTap || !a.Number.IsZero() || w.phone.pushes() != 1 {
		t.Fatalf("%+v, pushes %d", a, w.phone.pushes()-1)
	}
	if w.locked() {
		t.Error("a number is locked, and none is known")
	}
	kept := w.record(a.ID)
	if string(kept.Request) != "the request" || kept.ClientID != "demo" || kept.App != "main" || kept.Network != "192.0.2.7/32" ||
		string(kept.RequestID) != nonce || time.Until(kept.Expires) < time.Minute || time.Since(kept.Created) > time.Minute {
		t.Errorf("%+v, want what the click has brought", kept)
	}
	watcher := w.engine.Watch(t.Context(), a.ID, browser)
	defer watcher.End()
	w.must(w.engine.Progress(t.Context(), w.tapped(status("flow_invoked"))))
	<-watcher.Hints
	if w.record(a.ID).Invoked.IsZero() {
		t.Error("flow_invoked is not noted")
	}
	opened := w.record(a.ID).Invoked
	w.must(w.engine.Progress(t.Context(), w.tapped(status("flow_invoked"))))
	if !w.record(a.ID).Invoked.Equal(opened) || w.log.count("attempt.invoked", nil) != 1 {
		t.Error("a repeated flow_invoked counts")
	}
	d := w.tapped()
	w.must(w.engine.Token(t.Context(), d))
	w.must(w.engine.Profile(t.Context(), d, profile(t, "asha", digits)))
	got := w.record(a.ID)
	if got.State != login.Approved || got.Number != num(t, digits) || got.Sub == "" {
		t.Fatalf("%+v", got)
	}
	w.emptyInbox()

	// The same person as with a push.
	w.restart()
	w.start()
	w.approve()
	if pushed := w.log.count("attempt.approved", map[string]string{"sub": got.Sub}); pushed != 2 {
		t.Errorf("%d sign-ins of this person, want 2", pushed)
	}
}

// The nonce finds a one-tap attempt and the state a push, and never the other
// way round, however often they are mixed up.
func TestInvariant6_NonceAndStateAreNotMixedUp(t *testing.T) {
	w := newWorld(t, offersOneTap)
	pushed := w.start()
	tapped, err := w.tap()
	w.must(err)
	expects := func(c truecaller.Callback) bool {
		t.Helper()
		c.AccessToken = "token"
		expected, err := w.engine.Expects(t.Context(), "main", c)
		w.must(err)
		return expected
	}
	for _, row := range []struct {
		what string
		c    truecaller.Callback
		want bool
	}{
		{"the nonce as requestId", truecaller.Callback{RequestID: nonce}, true},
		{"the nonce as state", truecaller.Callback{RequestID: "r", State: nonce}, false},
		{"the nonce as both", truecaller.Callback{RequestID: nonce, State: nonce}, false},
		{"the state as state", truecaller.Callback{RequestID: "request", State: w.phone.state()}, true},
		{"the state as requestId", truecaller.Callback{RequestID: w.phone.state()}, false},
		{"Truecaller's requestId alone", truecaller.Callback{RequestID: "request"}, false},
		{"a nonce of somebody's own", truecaller.Callback{RequestID: strings.Repeat("m", 43)}, false},
		{"nothing", truecaller.Callback{}, false},
	} {
		if got := expects(row.c); got != row.want {
			t.Errorf("%s: expected %v", row.what, got)
		}
	}
	// At the address of another Truecaller app it is nobody's.
	d := w.tapped(func(d *truecaller.Delivery) { d.App = "second" })
	if err := w.engine.Token(t.Context(), d); !errors.Is(err, truecaller.ErrNotFound) {
		t.Errorf("another app's callback: %v", err)
	}
	w.expect(pushed.ID, login.Waiting, "")
	w.expect(tapped.ID, login.Waiting, "")
}

// A nonce starts one attempt, of one browser.
func TestInvariant6_ANonceStartsOneAttempt(t *testing.T) {
	w := newWorld(t, offersOneTap)
	w.phone.quiet()
	a, err := w.tap()
	w.must(err)
	again, err := w.tap()
	if err != nil || again.ID != a.ID {
		t.Errorf("a double click: %v, another attempt: %v", err, again.ID != a.ID)
	}
	if _, err := w.tap(func(s *login.OneTapRequest) { s.Browser = "another" }); !errors.Is(err, login.ErrState) {
		t.Errorf("another browser with this nonce: %v", err)
	}
	w.must(w.engine.Progress(t.Context(), w.tapped(status("user_rejected"))))
	w.expect(a.ID, login.Rejected, login.UserRejected)
	if _, err := w.tap(); !errors.Is(err, login.ErrState) {
		t.Errorf("the nonce of an attempt that has ended: %v", err)
	}
	// With a new one it works again.
	fresh := strings.Repeat("f", 43)
	b, err := w.tap(func(s *login.OneTapRequest) { s.Nonce = redact.Text(fresh) })
	w.must(err)
	w.must(w.engine.Profile(t.Context(), w.tapped(func(d *truecaller.Delivery) { d.RequestID = fresh }), profile(t, "asha", digits)))
	w.expect(b.ID, login.Approved, "")

	for what, change := range map[string]func(*login.OneTapRequest){
		"a short nonce":                  func(s *login.OneTapRequest) { s.Nonce = "12345678" },
		"no browser":                     func(s *login.OneTapRequest) { s.Browser = "" },
		"an app that offers no one-tap":  func(s *login.OneTapRequest) { s.App = "second" },
		"an app that is not there":       func(s *login.OneTapRequest) { s.App = "third" },
		"a nonce that no link can carry": func(s *login.OneTapRequest) { s.Nonce = redact.Text(strings.Repeat("n", 65)) },
	} {
		if _, err := w.tap(change); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

// Also when the two halves of a double click arrive together.
func TestInvariant6_ADoubleClickAtOnceStartsOneAttempt(t *testing.T) {
	w := newWorld(t, offersOneTap)
	for round := range 20 {
		fresh := fmt.Sprintf("%043d", round)
		var ids [8]login.ID
		var clicks sync.WaitGroup
		for i := range ids {
			clicks.Go(func() {
				a, err := w.tap(func(s *login.OneTapRequest) { s.Nonce = redact.Text(fresh) })
				if err != nil {
					t.Error(err)
				}
				ids[i] = a.ID
			})
		}
		clicks.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Fatalf("one nonce has started %v", ids)
			}
		}
	}
	if n := w.log.count("attempt.started", nil); n != 20 {
		t.Errorf("%d attempts of 20 nonces", n)
	}
}

func TestOneTapEndings(t *testing.T) {
	for _, row := range []struct {
		what, app string
		numbers   []string
		inactive  bool
		state     login.State
		reason    login.Reason
		number    string
	}{
		{"one number", "main", []string{digits}, false, login.Approved, "", digits},
		{"several numbers", "main", []string{digits, "919999999999"}, false, login.Failed, login.SeveralNumbers, ""},
		{"several numbers, the first is taken", "first", []string{"919999999999", digits}, false, login.Approved, "", "919999999999"},
		{"no number", "main", nil, false, login.Failed, login.SeveralNumbers, ""},
		{"no number, the first is taken", "first", nil, false, login.Failed, login.SeveralNumbers, ""},
		{"an inactive account", "main", []string{digits}, true, login.Failed, login.InactiveAccount, ""},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t, offersOneTap)
			w.phone.quiet()
			a, err := w.tap(func(s *login.OneTapRequest) { s.App = row.app })
			w.must(err)
			p := profile(t, "asha", row.numbers...)
			p.Inactive = row.inactive
			w.must(w.engine.Profile(t.Context(), w.tapped(func(d *truecaller.Delivery) { d.App = row.app }), p))
			w.expect(a.ID, row.state, row.reason)
			if got := w.record(a.ID); got.Number.Digits() != row.number || (got.Sub != "") != (row.state == login.Approved) {
				t.Errorf("number %v, sub %q", got.Number, got.Sub)
			}
			w.emptyInbox()
		})
	}
}

// Without a number there is no lock; one-tap has budgets of its own.
func TestInvariant7_OneTapSpendsItsBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		narrow := limit.Rate{Burst: 2, Period: time.Hour}
		for kind, set := range map[limit.Kind]func(*login.Limits){
			limit.SilentNetwork:    func(l *login.Limits) { l.SilentNetwork = narrow },
			limit.SilentClient:     func(l *login.Limits) { l.SilentClient = narrow },
			limit.SilentDeployment: func(l *login.Limits) { l.SilentDeployment = narrow },
		} {
			w := newWorld(t, offersOneTap, func(c *login.Config) { set(&c.Limits) })
			var refused []limit.Kind
			for i := range 3 {
				_, err := w.tap(func(s *login.OneTapRequest) { s.Nonce = redact.Text(strings.Repeat(string(rune('a'+i)), 43)) })
				if full, ok := errors.AsType[*limit.Exceeded](err); ok {
					refused = append(refused, full.Kind)
				} else {
					w.must(err)
				}
			}
			if !slices.Equal(refused, []limit.Kind{kind}) {
				t.Errorf("with two to spend per %s: refused %v", kind, refused)
			}
			w.must(w.store.Close())
		}
	})
}

// Residual risk, docs/threat-model.md: in one-tap there is no number to compare
// with. Whoever knows the secret callback path, and has a token that the victim
// gave to another partner, can post it with the nonce of their own attempt, and is
// signed in as the victim. The path is the only barrier.
func TestThreat_OneTapTokenOfAnotherPartner(t *testing.T) {
	w := newWorld(t, offersOneTap)
	w.phone.quiet()
	a, err := w.tap()
	w.must(err)
	w.must(w.engine.Profile(t.Context(), w.tapped(), profile(t, "victim", "46701740699")))
	w.expect(a.ID, login.Approved, "")
	if got := w.record(a.ID); got.Number.Digits() != "46701740699" {
		t.Errorf("signed in as %v (if this is no longer so, docs/threat-model.md is wrong)", got.Number)
	}
}

// Who carries callbacks hears of an attempt when it can be found, and of a double
// click not again.
func TestArrivedIsToldOfNewAttempts(t *testing.T) {
	var told []string
	var w *world
	w = newWorld(t, offersOneTap, func(c *login.Config) {
		c.Arrived = func(_ context.Context, nonce string) {
			told = append(told, nonce)
			if expected, err := w.engine.Expects(t.Context(), "main", truecaller.Callback{RequestID: nonce, AccessToken: "t"}); err != nil || !expected {
				t.Errorf("told before it can be found: %v", err)
			}
		}
	})
	for range 2 {
		_, err := w.tap()
		w.must(err)
	}
	if !slices.Equal(told, []string{nonce}) {
		t.Errorf("told of %v", told)
	}
}
