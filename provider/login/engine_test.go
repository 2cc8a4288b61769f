// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	before := w.store.Stats().Commits
	a := w.start()
	if a.State != login.Waiting || a.RequestID != "request" {
		t.Errorf("after the push: %s %q", a.State, a.RequestID)
	}
	w.approve()
	a = w.record(a.ID)
	if a.State != login.Approved || a.Sub == "" || a.AuthTime.IsZero() {
		t.Fatalf("after the profile: %+v", a)
	}
	person, err := w.store.Person(t.Context(), a.Sub)
	w.must(err)
	if person.Number.Digits() != digits || person.Profile.FirstName != "Asha" || person.TruecallerID != "asha" {
		t.Errorf("the person: %+v", person)
	}
	if _, err := w.finish(a.ID); err != nil {
		t.Fatal(err)
	}
	w.expect(a.ID, login.Done, login.NoReason)
	if _, err := w.store.SessionBySecret(t.Context(), [32]byte{1}); err != nil {
		t.Errorf("the session: %v", err)
	}
	// Four of the five commits of a sign-in are ours: create, callback, approve, finish.
	if commits := w.store.Stats().Commits - before; commits > 4 {
		t.Errorf("%d commits, at most 4 are wanted", commits)
	}
	w.emptyInbox()
	for _, event := range []string{"attempt.started", "attempt.approved", "attempt.done"} {
		if w.log.count(event, map[string]string{"attempt": string(a.ID), "client": "demo", "network": "192.0.2.7/32"}) != 1 {
			t.Errorf("%s is not in the audit once:\n%s", event, w.log.text())
		}
	}
	if !w.log.has("attempt.approved", map[string]string{"sub": a.Sub, "number": "+46•••••0605"}) {
		t.Errorf("who was approved is not in the audit:\n%s", w.log.text())
	}
}

// The second sign-in of the same person has the same sub; another Truecaller id
// at the same number is another person.
func TestNumberChangesHands(t *testing.T) {
	w := newWorld(t)
	signIn := func(id string) string {
		a := w.start()
		d := w.callback()
		w.must(w.engine.Profile(t.Context(), d, profile(t, id, digits)))
		return w.record(a.ID).Sub
	}
	first, again, other, back := signIn("asha"), signIn("asha"), signIn("bela"), signIn("asha")
	if first != again {
		t.Errorf("the same person: %s, then %s", first, again)
	}
	if other == first || back == first || back == other {
		t.Errorf("a sub was issued to a second person: %s %s %s", first, other, back)
	}
	if n := w.log.count("attempt.number_changed_hands", nil); n != 2 {
		t.Errorf("the audit says %d times that the number changed hands", n)
	}
}

// Nothing is written by looking, by strangers' callbacks, or by a submission
// that is refused.
func TestInvariant1_OnlyAnAcceptedNumberWrites(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.settle()
	before := w.store.Stats().Commits
	for range 100 {
		w.engine.Get(t.Context(), "nobody", browser)
		w.engine.Watch(t.Context(), "nobody", browser).End()
		if expected, err := w.engine.Expects(t.Context(), "main", truecaller.Callback{State: "guess", RequestID: "request", AccessToken: "t"}); expected || err != nil {
			t.Fatalf("expects a stranger's callback: %v, %v", expected, err)
		}
		if _, err := w.begin(); err != nil { // leads to the attempt that is open
			t.Fatal(err)
		}
	}
	w.engine.Cancel(t.Context(), "nobody", browser)
	if got := w.store.Stats().Commits; got != before {
		t.Errorf("%d commits", got-before)
	}
	if w.phone.pushes() != 1 {
		t.Errorf("%d pushes", w.phone.pushes())
	}
}

func TestPushOutcomes(t *testing.T) {
	rows := []struct {
		kind   truecaller.PushFailure
		state  login.State
		reason login.Reason
		locked bool
		level  string
	}{
		{truecaller.PushNoAccount, login.Waiting, "", true, "INFO"},
		{truecaller.PushUnknown, login.Waiting, "", true, "WARN"},
		{truecaller.PushAppKeyRejected, login.Failed, login.Misconfigured, false, "ERROR"},
		{truecaller.PushRefused, login.Failed, login.Refused, false, "ERROR"},
		{truecaller.PushUnavailable, login.Failed, login.Unavailable, false, "WARN"},
	}
	for _, row := range rows {
		t.Run(string(row.kind), func(t *testing.T) {
			w := newWorld(t)
			w.phone.answer = refuses(row.kind)
			a := w.start()
			if a.State != row.state || a.Reason != row.reason {
				t.Errorf("Start says %s %s", a.State, a.Reason)
			}
			if w.locked() != row.locked {
				t.Errorf("locked: %v", !row.locked)
			}
			w.expect(a.ID, row.state, row.reason)
			if a := w.record(a.ID); a.Undeliverable != (row.kind == truecaller.PushNoAccount) {
				t.Errorf("undeliverable: %v", a.Undeliverable)
			}
			if !strings.Contains(w.log.text(), `"level":"`+row.level+`"`) {
				t.Errorf("not logged as %s:\n%s", row.level, w.log.text())
			}
		})
	}
	t.Run("an error that says nothing", func(t *testing.T) {
		w := newWorld(t)
		w.phone.answer = func(context.Context, string) (string, error) { return "", errors.New("broken") }
		if a := w.start(); a.State != login.Waiting {
			t.Errorf("%s %s", a.State, a.Reason)
		}
	})
}

// The browser may go away while the push is under way: it is sent all the same,
// and its result is kept.
func TestPushSurvivesTheBrowser(t *testing.T) {
	w := newWorld(t)
	ctx, leave := context.WithCancel(t.Context())
	w.phone.answer = func(ctx context.Context, _ string) (string, error) {
		leave()
		return "request", ctx.Err()
	}
	a, err := w.engine.Start(ctx, login.PushRequest{Number: num(t, digits), App: "main", ClientID: "demo", Browser: browser})
	w.must(err)
	if a.State != login.Waiting || a.RequestID != "request" {
		t.Errorf("%s %q", a.State, a.RequestID)
	}
}

func TestInvariant10_LogsHaveNoNumbersAndNoSecrets(t *testing.T) {
	w := newWorld(t)
	secrets := []string{digits, digits[2:], browser, "secret token", "https://evil.example"}
	token := func(d *truecaller.Delivery) { d.AccessToken, d.Endpoint = "secret token", "https://evil.example" }
	for _, kind := range []truecaller.PushFailure{"", truecaller.PushNoAccount, truecaller.PushUnknown, truecaller.PushUnavailable, truecaller.PushAppKeyRejected} {
		w.phone.answer = accepts
		if kind != "" {
			w.phone.answer = refuses(kind)
		}
		a := w.start()
		secrets = append(secrets, w.phone.state())
		w.must(w.engine.Progress(t.Context(), w.callback(status("call +"+digits))))
		w.begin()
		w.must(w.engine.Profile(t.Context(), w.callback(token, func(d *truecaller.Delivery) { d.App = "second" }), profile(t, "x", digits)))
		w.must(w.engine.Failed(t.Context(), w.callback(token), truecaller.ErrUnauthorized))
		w.engine.Cancel(t.Context(), a.ID, browser)
	}
	w.start()
	w.must(w.engine.Profile(t.Context(), w.callback(token), profile(t, "x", digits)))
	for _, secret := range secrets {
		if strings.Contains(w.log.text(), secret) {
			t.Errorf("the log has %q:\n%s", secret, w.log.text())
		}
	}
	if !strings.Contains(w.log.text(), "+46•••••0605") {
		t.Error("the log has no masked number: the test shows nothing")
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		waiting := w.start()
		unused := w.start(dialled(t, "46701740606"))
		w.must(w.engine.Profile(t.Context(), w.callback(), profile(t, "asha", "46701740606")))
		time.Sleep(5*time.Minute - 1)
		w.expect(waiting.ID, login.Waiting, login.NoReason)
		w.expect(unused.ID, login.Approved, login.NoReason)
		time.Sleep(time.Nanosecond)
		w.expect(waiting.ID, login.Expired, login.NoReason)
		w.expect(unused.ID, login.Expired, login.NoReason)
		if a := w.record(waiting.ID); !a.Ended.Equal(a.Expires) {
			t.Errorf("ended %v, expired %v", a.Ended, a.Expires)
		}
		if _, err := w.finish(unused.ID); !errors.Is(err, login.ErrState) {
			t.Errorf("Finish: %v", err)
		}
		w.must(w.engine.Cancel(t.Context(), waiting.ID, browser))
		w.expect(waiting.ID, login.Expired, login.NoReason)
		synctest.Wait()
		for _, id := range []login.ID{waiting.ID, unused.ID} {
			if n := w.log.count("attempt.expired", map[string]string{"attempt": string(id)}); n != 1 {
				t.Errorf("%s: its end is audited %d times", id, n)
			}
		}
	})
}

// An attempt that ended otherwise is not audited as expired later.
func TestExpiryIsSilentForFinishedAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.start()
		w.approve()
		if _, err := w.finish(a.ID); err != nil {
			t.Fatal(err)
		}
		w.must(w.engine.Cancel(t.Context(), w.start().ID, browser))
		time.Sleep(time.Hour)
		synctest.Wait()
		if w.log.has("attempt.expired", nil) {
			t.Error(w.log.text())
		}
	})
}

func TestNewRefusesAConfigurationThatCannotWork(t *testing.T) {
	w := newWorld(t)
	rows := map[string]func(*login.Config){
		"no store":           func(c *login.Config) { c.Store = nil },
		"no inbox":           func(c *login.Config) { c.Inbox = nil },
		"no pusher":          func(c *login.Config) { c.Pusher = nil },
		"no log":             func(c *login.Config) { c.Log = nil },
		"no audit":           func(c *login.Config) { c.Audit = nil },
		"no app":             func(c *login.Config) { c.Apps = nil },
		"negative life":      func(c *login.Config) { c.Life = -1 },
		"negative lock":      func(c *login.Config) { c.Lock = -1 },
		"no number budget":   func(c *login.Config) { c.Limits.Number = limit.Rate{} },
		"negative budget":    func(c *login.Config) { c.Limits.Client.Burst = -1 },
		"all in reserve":     func(c *login.Config) { c.Limits.Reserve = c.Limits.Network.Burst },
		"negative reserve":   func(c *login.Config) { c.Limits.Reserve = -1 },
		"endless in no time": func(c *login.Config) { c.Limits.Deployment.Period = 0 },
	}
	for what, spoil := range rows {
		c := w.config
		spoil(&c)
		if _, err := login.New(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	if _, err := w.begin(func(s *login.PushRequest) { s.App = "unknown" }); err == nil {
		t.Error("an unknown app was accepted")
	}
	if !slices.Equal(w.inbox(), nil) {
		t.Error("something was written")
	}
}

// The same form sent twice, by a double click or because the response was lost, is
// one attempt and one push, before the approval and after it. Another number, another
// form or another browser is not the same form.
func TestInvariant7_AFormSentTwicePushesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) {
			c.Limits.Network = limit.Rate{Burst: 2, Period: time.Hour}
			c.AfterApproval = 2 * time.Minute
		})
		form := func(r *login.PushRequest) { r.Form = "the sealed request of a page" }
		a := w.start(form)
		same := func(when string) {
			t.Helper()
			for range 2 {
				w.restart()
				if got, err := w.begin(form); err != nil || got.ID != a.ID {
					t.Errorf("%s: %q, %v; want the attempt %q", when, got.ID, err, a.ID)
				}
			}
			if w.phone.pushes() != 1 {
				t.Errorf("%s: %d pushes", when, w.phone.pushes())
			}
		}
		same("while the push is open")
		_, err := w.begin(form, another(1))
		w.refused(err, limit.Lock)
		w.approve()
		same("after the approval")
		time.Sleep(4 * time.Minute)
		same("when the lock is over")
		other := w.start(form, dialled(t, "46701740606"))
		if other.ID == a.ID {
			t.Error("another number is the same form")
		}
		time.Sleep(time.Minute)
		if next, err := w.begin(form, func(r *login.PushRequest) { r.Network = "192.0.2.8/32" }); err != nil || next.ID == a.ID {
			t.Errorf("after the attempt has expired: %q, %v", next.ID, err)
		}
	})
	t.Run("at once", func(t *testing.T) {
		w := newWorld(t)
		var wg sync.WaitGroup
		ids := make([]login.ID, 16)
		for i := range ids {
			wg.Go(func() {
				a, err := w.begin(func(r *login.PushRequest) { r.Form = "the same" })
				if err != nil {
					t.Error(err)
				}
				ids[i] = a.ID
			})
		}
		wg.Wait()
		if slices.Sort(ids); ids[0] != ids[len(ids)-1] || w.phone.pushes() != 1 {
			t.Errorf("%d pushes, attempts %v", w.phone.pushes(), ids)
		}
	})
}

// An app that may not push gets no push, whoever asks for one.
func TestThreat_AnAppWithoutPushPushesNothing(t *testing.T) {
	w := newWorld(t, func(c *login.Config) {
		c.Apps["silent"] = truecaller.App{ID: "silent", WithoutPush: true, OneTap: &truecaller.Dialog{}}
	})
	for app, ok := range map[string]bool{"silent": false, "nobody's": false, "main": true} {
		pushes := w.phone.pushes()
		if a, err := w.begin(func(r *login.PushRequest) { r.App = app }); (err == nil) != ok || (w.phone.pushes() > pushes) != ok {
			t.Errorf("%s: got %s, %v and %d pushes; want started %v", app, a.State, err, w.phone.pushes()-pushes, ok)
		}
	}
}

// An attempt that several processes know, or that one knows again after a restart, is
// audited as expired once.
func TestExpiryIsAuditedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.start()
		var watching []login.Watcher
		for range 3 {
			another, err := login.New(w.config)
			w.must(err)
			watching = append(watching, another.Watch(t.Context(), a.ID, browser))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, page := range watching {
			select {
			case <-page.Hints:
			default:
				t.Error("a page does not hear of the end")
			}
			page.End()
		}
		if n := w.log.count("attempt.expired", map[string]string{"attempt": string(a.ID)}); n != 1 {
			t.Errorf("its end is audited %d times", n)
		}
		if after := w.record(a.ID); after.State != login.Expired || !after.Ended.Equal(after.Expires) {
			t.Errorf("it is %s, ended %v", after.State, after.Ended)
		}
	})
}
