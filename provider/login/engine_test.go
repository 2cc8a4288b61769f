package login_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
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
		_, end := w.engine.Watch("nobody")
		end()
		if expected, err := w.engine.Expects(t.Context(), truecaller.Callback{State: "guess", RequestID: "request", AccessToken: "t"}); expected || err != nil {
			t.Fatalf("expects a stranger's callback: %v, %v", expected, err)
		}
		if _, err := w.begin(); err == nil {
			t.Fatal("the number is locked")
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

func TestInvariant2_AnAttemptBelongsToItsBrowser(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	w.approve()
	for _, stranger := range []string{"", "another browser", browser + " ", strings.ToUpper(browser)} {
		if got, err := w.engine.Get(t.Context(), a.ID, stranger); !errors.Is(err, login.ErrNotYours) || got.ID != "" {
			t.Errorf("Get by %q: %v", stranger, err)
		}
		if _, err := w.engine.Finish(t.Context(), a.ID, stranger, "", bought); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("Finish by %q: %v", stranger, err)
		}
		if err := w.engine.Cancel(t.Context(), a.ID, stranger); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("Cancel by %q: %v", stranger, err)
		}
		if err := w.engine.Abandon(t.Context(), a.ID, stranger, login.Refused); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("Abandon by %q: %v", stranger, err)
		}
	}
	w.expect(a.ID, login.Approved, login.NoReason)
	if a.Browser != sha256.Sum256([]byte(browser)) {
		t.Error("the attempt has something else than the hash of the secret")
	}
	if _, err := w.begin(func(s *login.Start) { s.Browser = "" }); err == nil {
		t.Error("an attempt without a browser was started")
	}
}

// Several tabs share the browser's secret, and each has its own attempt.
func TestInvariant2_SeveralTabs(t *testing.T) {
	w := newWorld(t)
	first := w.start()
	state := w.phone.state()
	second := w.start(dialled(t, "46701740606"), func(s *login.Start) { s.Request = []byte("another") })
	d := w.callback(func(d *truecaller.Delivery) { d.State = state })
	w.must(w.engine.Profile(t.Context(), d, profile(t, "asha", digits)))
	w.expect(first.ID, login.Approved, login.NoReason)
	w.expect(second.ID, login.Waiting, login.NoReason)
	w.must(w.engine.Cancel(t.Context(), second.ID, browser))
	w.expect(second.ID, login.Rejected, login.Cancelled)
	if _, err := w.finish(first.ID); err != nil {
		t.Error(err)
	}
	if string(w.record(first.ID).Request) != "the request" || string(w.record(second.ID).Request) != "another" {
		t.Error("the requests are mixed up")
	}
}

func TestInvariant3_AnotherNumbersProfileIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	d := w.callback()
	w.must(w.engine.Token(t.Context(), d))
	w.must(w.engine.Profile(t.Context(), d, profile(t, "mallory", "46701740699", "4670174060")))
	w.expect(a.ID, login.Failed, login.PhoneMismatch)
	w.emptyInbox()
	if a := w.record(a.ID); a.Sub != "" {
		t.Errorf("it has a subject: %q", a.Sub)
	}
	if _, err := w.finish(a.ID); !errors.Is(err, login.ErrState) {
		t.Errorf("Finish: %v", err)
	}
	if !w.log.has("attempt.failed", map[string]string{"reason": "phone_mismatch", "level": "WARN"}) {
		t.Errorf("it is not audited:\n%s", w.log.text())
	}
	if !w.locked() {
		t.Error("the lock is gone, though the phone that was asked has not answered")
	}
	// The right one comes too late.
	late := w.callback()
	w.must(w.engine.Profile(t.Context(), late, profile(t, "asha", digits)))
	w.expect(a.ID, login.Failed, login.PhoneMismatch)
}

func TestInactiveAccountIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	p := profile(t, "asha", digits)
	p.Inactive = true
	w.must(w.engine.Profile(t.Context(), w.callback(), p))
	w.expect(a.ID, login.Failed, login.InactiveAccount)
}

// Every callback may come twice, late, for nothing, in any order.
func TestInvariant4_CallbacksMayBeRepeatedLateAndOutOfOrder(t *testing.T) {
	right := func(w *world, d truecaller.Delivery) {
		if err := w.engine.Token(w.t.Context(), d); err == nil {
			w.must(w.engine.Profile(w.t.Context(), d, profile(w.t, "asha", digits)))
		} else if errors.Is(err, truecaller.ErrNotFound) {
			w.must(w.store.DropDelivery(w.t.Context(), d.ID)) // as the worker does
		} else {
			w.t.Error(err)
		}
	}
	progress := func(what string) func(*world) {
		return func(w *world) { w.must(w.engine.Progress(w.t.Context(), w.callback(status(what)))) }
	}
	token := func(w *world) { right(w, w.callback()) }
	failed := func(w *world) {
		w.must(w.engine.Failed(w.t.Context(), w.callback(), truecaller.ErrUnauthorized))
	}
	stranger := func(w *world) {
		right(w, w.callback(func(d *truecaller.Delivery) { d.State = "not ours" }))
		right(w, w.callback(func(d *truecaller.Delivery) { d.State = "" }))
	}
	rows := []struct {
		what   string
		steps  []func(*world)
		state  login.State
		reason login.Reason
	}{
		{"a token", []func(*world){token}, login.Approved, ""},
		{"a token three times", []func(*world){token, token, token}, login.Approved, ""},
		{"progress only", []func(*world){progress("flow_invoked"), progress("flow_invoked")}, login.Waiting, ""},
		{"progress, then a token", []func(*world){progress("flow_invoked"), token}, login.Approved, ""},
		{"progress after a token", []func(*world){token, progress("flow_invoked")}, login.Approved, ""},
		{"an unknown status", []func(*world){progress("moon_phase"), progress("")}, login.Waiting, ""},
		{"an unknown status, then a token", []func(*world){progress("moon_phase"), token}, login.Approved, ""},
		{"declined", []func(*world){progress("user_rejected")}, login.Rejected, login.UserRejected},
		{"dismissed", []func(*world){progress("flow_cancelled")}, login.Rejected, login.UserRejected},
		{"another number", []func(*world){progress("use_another_number")}, login.Rejected, login.AnotherNumber},
		{"declined twice", []func(*world){progress("user_rejected"), progress("use_another_number")}, login.Rejected, login.UserRejected},
		{"declined, then a token", []func(*world){progress("user_rejected"), token}, login.Rejected, login.UserRejected},
		{"declined after a token", []func(*world){token, progress("user_rejected")}, login.Approved, ""},
		{"a token that fetches nothing", []func(*world){failed}, login.Failed, login.ProfileFailed},
		{"nothing fetched, then a token", []func(*world){failed, token}, login.Failed, login.ProfileFailed},
		{"nothing fetched after approval", []func(*world){token, failed}, login.Approved, ""},
		{"strangers", []func(*world){stranger}, login.Waiting, ""},
		{"strangers, then a token", []func(*world){stranger, token, stranger}, login.Approved, ""},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t)
			a := w.start()
			for _, step := range row.steps {
				step(w)
			}
			w.expect(a.ID, row.state, row.reason)
			w.emptyInbox()
		})
	}
	t.Run("unknown statuses are in the log", func(t *testing.T) {
		w := newWorld(t)
		w.start()
		progress("moon_phase")(w)
		if !strings.Contains(w.log.text(), "moon_phase") {
			t.Error(w.log.text())
		}
	})
}

// What nobody expects is not stored: it is late, finished, or a stranger's.
func TestInvariant4_OnlyLiveAttemptsExpectCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		expects := func() bool {
			t.Helper()
			expected, err := w.engine.Expects(t.Context(), w.callback().Callback)
			w.must(err)
			return expected
		}
		a := w.start()
		if !expects() {
			t.Error("a waiting attempt expects nothing")
		}
		w.approve()
		if expects() {
			t.Error("an approved attempt expects more")
		}
		w.must(w.engine.Cancel(t.Context(), a.ID, browser))
		if expects() {
			t.Error("a cancelled attempt expects more")
		}
		w.start()
		time.Sleep(5 * time.Minute)
		if expects() {
			t.Error("an expired attempt expects more")
		}
	})
}

// A callback may arrive while the push is still waiting for its answer.
func TestInvariant4_ACallbackMayOvertakeThePush(t *testing.T) {
	for _, row := range []struct {
		what   string
		answer func(context.Context, string) (string, error)
	}{
		{"accepted", accepts},
		{"unknown", refuses(truecaller.PushUnknown)},
		{"no account", refuses(truecaller.PushNoAccount)},
		{"unavailable", refuses(truecaller.PushUnavailable)},
		{"refused", refuses(truecaller.PushRefused)},
		{"appkey", refuses(truecaller.PushAppKeyRejected)},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t)
			w.phone.answer = func(ctx context.Context, state string) (string, error) {
				d := w.callback(func(d *truecaller.Delivery) { d.State = state })
				if expected, err := w.engine.Expects(ctx, d.Callback); !expected || err != nil {
					t.Errorf("not expected: %v", err)
				}
				w.must(w.engine.Token(ctx, d))
				w.must(w.engine.Profile(ctx, d, profile(t, "asha", digits)))
				return row.answer(ctx, state)
			}
			a := w.start()
			w.expect(a.ID, login.Approved, login.NoReason)
			if _, err := w.finish(a.ID); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("declined", func(t *testing.T) {
		w := newWorld(t)
		w.phone.answer = func(ctx context.Context, state string) (string, error) {
			w.must(w.engine.Progress(ctx, w.callback(status("user_rejected"))))
			return "request", nil
		}
		w.expect(w.start().ID, login.Rejected, login.UserRejected)
	})
}

func TestInvariant5_AForeignEndpointEndsTheAttempt(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	w.must(w.engine.Failed(t.Context(), w.callback(), truecaller.ErrForeignEndpoint))
	w.expect(a.ID, login.Failed, login.ForeignEndpoint)
	w.emptyInbox()
	if !w.log.has("attempt.failed", map[string]string{"reason": "foreign_endpoint", "level": "WARN"}) {
		t.Errorf("it is not audited:\n%s", w.log.text())
	}
	if !w.locked() {
		t.Error("a hostile callback released the lock")
	}
}

func TestInvariant6_TheStateIsOurs(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	state := w.phone.state()
	if raw, err := base64.RawURLEncoding.DecodeString(state); err != nil || len(raw) != 32 {
		t.Fatalf("the state is %d bytes (%v), want 32", len(raw), err)
	}
	if a.Correlation != sha256.Sum256([]byte(state)) {
		t.Error("the attempt is not found by the hash of the state")
	}
	b := w.start(dialled(t, "46701740606"))
	if w.phone.state() == state || a.ID == b.ID {
		t.Error("two attempts share a state or an id")
	}
	if strings.Contains(w.log.text(), state) {
		t.Error("the state is in the log")
	}
}

// A callback with our state that does not agree is ignored and audited; the
// right one still counts. Used once, the state is worth nothing.
func TestInvariant6_DisagreeingCallbacksAreIgnored(t *testing.T) {
	stray := map[string]func(*truecaller.Delivery){
		"another requestId":    func(d *truecaller.Delivery) { d.RequestID = "another" },
		"another app's path":   func(d *truecaller.Delivery) { d.App = "second" },
		"an endless requestId": func(d *truecaller.Delivery) { d.RequestID = strings.Repeat("r", 257) },
	}
	for what, change := range stray {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			a := w.start()
			w.settle() // the requestId is known
			d := w.callback(change)
			if err := w.engine.Token(t.Context(), d); !errors.Is(err, truecaller.ErrNotFound) {
				t.Errorf("Token: %v", err)
			}
			w.must(w.engine.Profile(t.Context(), d, profile(t, "asha", digits)))
			w.must(w.engine.Progress(t.Context(), w.callback(change, status("user_rejected"))))
			w.must(w.engine.Failed(t.Context(), w.callback(change), truecaller.ErrUnauthorized))
			w.expect(a.ID, login.Waiting, login.NoReason)
			w.emptyInbox()
			if n := w.log.count("attempt.callback_mismatch", map[string]string{"attempt": string(a.ID)}); n != 4 {
				t.Errorf("audited %d times, want 4", n)
			}
			w.approve()
			w.expect(a.ID, login.Approved, login.NoReason)
		})
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
	a, err := w.engine.Start(ctx, login.Start{Number: num(t, digits), App: "main", ClientID: "demo", Browser: browser})
	w.must(err)
	if a.State != login.Waiting || a.RequestID != "request" {
		t.Errorf("%s %q", a.State, a.RequestID)
	}
}

func TestInvariant7_OneOpenPushPerNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		end := w.start().Expires
		other := func(s *login.Start) { s.Browser, s.ClientID, s.Network = "another", "another", "2001:db8::/64" }
		refused := func() {
			t.Helper()
			_, err := w.begin(other)
			exceeded := (*limit.Exceeded)(nil)
			if !errors.As(err, &exceeded) || exceeded.Kind != limit.Lock || !exceeded.RetryAt.Equal(end) {
				t.Errorf("whoever asks: %v", err)
			}
		}
		refused()
		time.Sleep(4 * time.Minute)
		w.restart()
		refused()
		time.Sleep(time.Minute - time.Nanosecond)
		refused()
		if w.phone.pushes() != 1 {
			t.Errorf("%d pushes", w.phone.pushes())
		}
		time.Sleep(time.Nanosecond)
		if _, err := w.begin(other); err != nil {
			t.Errorf("after five minutes: %v", err)
		}
	})
}

// The lock ends early only when Truecaller has given its answer.
func TestInvariant7_TheLockEndsOnTruecallersWord(t *testing.T) {
	rows := []struct {
		what   string
		step   func(*world, login.Attempt)
		locked bool
	}{
		{"approved", func(w *world, _ login.Attempt) { w.approve() }, false},
		{"declined", func(w *world, _ login.Attempt) {
			w.must(w.engine.Progress(w.t.Context(), w.callback(status("user_rejected"))))
		}, false},
		{"no profile", func(w *world, _ login.Attempt) {
			w.must(w.engine.Failed(w.t.Context(), w.callback(), truecaller.ErrUnauthorized))
		}, false},
		{"cancelled in the browser", func(w *world, a login.Attempt) {
			w.must(w.engine.Cancel(w.t.Context(), a.ID, browser))
		}, true},
		{"progress", func(w *world, _ login.Attempt) {
			w.must(w.engine.Progress(w.t.Context(), w.callback(status("flow_invoked"))))
		}, true},
		{"a token", func(w *world, _ login.Attempt) { w.must(w.engine.Token(w.t.Context(), w.callback())) }, true},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t)
			row.step(w, w.start())
			if w.locked() != row.locked {
				t.Errorf("locked: %v", !row.locked)
			}
		})
	}
	t.Run("cooling down", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(c *login.Config) { c.CoolDown = 20 * time.Minute })
			w.start()
			w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
			time.Sleep(20*time.Minute - 1)
			if !w.locked() {
				t.Error("a declined number cooled down too early")
			}
			time.Sleep(1)
			if w.locked() {
				t.Error("a declined number stays locked")
			}
		})
	})
}

// A late release does not end a lock that a later attempt holds.
func TestInvariant7_ALockIsReleasedByItsHolderOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) { c.Lock = time.Minute })
		w.start()
		first := w.phone.state()
		time.Sleep(time.Minute)
		w.start()
		d := w.callback(status("user_rejected"), func(d *truecaller.Delivery) { d.State = first })
		w.must(w.engine.Progress(t.Context(), d))
		if !w.locked() {
			t.Error("the first attempt's decline released the second's lock")
		}
	})
}

func TestInvariant7_BudgetsAreSpentWithTheAttempt(t *testing.T) {
	two := limit.Rate{Burst: 2, Period: time.Hour}
	rows := []struct {
		kind limit.Kind
		set  func(*login.Limits)
		same func(*login.Start) // what the tries have in common is in here
	}{
		{limit.Number, func(l *login.Limits) { l.Number = two }, func(s *login.Start) { s.Network, s.ClientID = s.Browser, s.Browser }},
		{limit.Network, func(l *login.Limits) { l.Network = two }, func(s *login.Start) { s.ClientID = s.Browser }},
		{limit.Client, func(l *login.Limits) { l.Client = two }, func(s *login.Start) { s.Network = s.Browser }},
		{limit.Deployment, func(l *login.Limits) { l.Deployment = two }, func(s *login.Start) { s.Network, s.ClientID = s.Browser, s.Browser }},
	}
	for _, row := range rows {
		t.Run(string(row.kind), func(t *testing.T) {
			w := newWorld(t, func(c *login.Config) { row.set(&c.Limits) })
			try := func(n string) error {
				_, err := w.begin(row.same, func(s *login.Start) {
					s.Browser = "browser " + n
					row.same(s)
					if row.kind != limit.Number {
						s.Number = num(t, "4670174061"+n)
					}
				})
				if err == nil && row.kind == limit.Number { // release the lock, not the budget
					w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
				}
				return err
			}
			for _, n := range []string{"1", "2"} {
				w.must(try(n))
			}
			w.restart()
			exceeded := (*limit.Exceeded)(nil)
			if err := try("3"); !errors.As(err, &exceeded) || exceeded.Kind != row.kind || !exceeded.RetryAt.After(time.Now()) {
				t.Errorf("the third: %v", err)
			}
			if w.phone.pushes() != 2 {
				t.Errorf("%d pushes", w.phone.pushes())
			}
			if !w.log.has("attempt.limited", map[string]string{"limit": string(row.kind)}) {
				t.Error("the refusal is not audited")
			}
			// A refused submission takes nothing, the lock neither.
			if row.kind != limit.Number && w.isLocked("46701740613") {
				t.Error("the refused number is locked")
			}
		})
	}
}

// Nobody can tell by the record that a page shows whether the number has an
// account.
func TestInvariant7_NoAccountLooksLikeNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		silent := w.start()
		w.phone.answer = refuses(truecaller.PushNoAccount)
		nobody := w.start(dialled(t, "46701740617"))
		w.settle()
		for range 7 {
			a, b := w.record(silent.ID), w.record(nobody.ID)
			if a.State != b.State || a.Reason != b.Reason || !a.Expires.Equal(b.Expires) {
				t.Fatalf("%s %s %v, but %s %s %v", a.State, a.Reason, a.Expires, b.State, b.Reason, b.Expires)
			}
			_, lockA := w.begin()
			_, lockB := w.begin(dialled(t, "46701740617"))
			if (lockA == nil) != (lockB == nil) {
				t.Fatalf("%v, but %v", lockA, lockB)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestInvariant9_AnApprovedAttemptIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	if _, err := w.finish(a.ID); !errors.Is(err, login.ErrState) {
		t.Fatalf("before approval: %v", err)
	}
	w.approve()

	broken := errors.New("broken")
	if _, err := w.engine.Finish(t.Context(), a.ID, browser, "", func(login.Attempt) (session.Session, grant.Code, error) {
		return session.Session{}, grant.Code{}, broken
	}); !errors.Is(err, broken) {
		t.Fatalf("when nothing could be made: %v", err)
	}
	w.expect(a.ID, login.Approved, login.NoReason)

	var wg sync.WaitGroup
	results := make(chan error, 20)
	for range cap(results) {
		wg.Go(func() {
			_, err := w.finish(a.ID)
			results <- err
		})
	}
	wg.Wait()
	close(results)
	used := 0
	for err := range results {
		switch {
		case err == nil:
			used++
		case !errors.Is(err, login.ErrState):
			t.Error(err)
		}
	}
	if used != 1 {
		t.Errorf("used %d times", used)
	}
	if n := w.log.count("attempt.done", nil); n != 1 {
		t.Errorf("audited %d times", n)
	}
	w.restart()
	if _, err := w.finish(a.ID); !errors.Is(err, login.ErrState) {
		t.Errorf("after a restart: %v", err)
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
		time.Sleep(1)
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
		"endless in no time": func(c *login.Config) { c.Limits.Deployment.Period = 0 },
	}
	for what, spoil := range rows {
		c := w.config
		spoil(&c)
		if _, err := login.New(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	if _, err := w.begin(func(s *login.Start) { s.App = "unknown" }); err == nil {
		t.Error("an unknown app was accepted")
	}
	if !slices.Equal(w.inbox(), nil) {
		t.Error("something was written")
	}
}
