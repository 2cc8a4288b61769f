package login_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/provider/login"
	"calleridp/truecaller"
)

// The process ends after every step in turn, and another one goes on over the
// same file: the sign-in completes, and is used once.
func TestACrashAtAnyStepLosesNothing(t *testing.T) {
	type run struct {
		w *world
		a login.Attempt
		d truecaller.Delivery
	}
	// What the worker does with a delivery. It stops where there is no more to do.
	token := func(r *run) bool {
		err := r.w.engine.Token(r.w.t.Context(), r.d)
		if err != nil && !errors.Is(err, truecaller.ErrNotFound) {
			r.w.t.Error(err)
		}
		return err == nil
	}
	fetched := func(r *run) {
		r.w.must(r.w.engine.Profile(r.w.t.Context(), r.d, profile(r.w.t, "asha", digits)))
	}
	steps := []func(*run){
		func(r *run) { r.a = r.w.start() },
		func(r *run) { r.d = r.w.callback() },
		func(r *run) { token(r) },
		fetched,
		func(r *run) {
			_, err := r.w.finish(r.a.ID)
			r.w.must(err)
		},
	}
	for crash := range steps {
		t.Run(fmt.Sprint("after step ", crash), func(t *testing.T) {
			r := &run{w: newWorld(t)}
			for i, step := range steps {
				step(r)
				if i == crash {
					r.w.restart()
					// The inbox is worked on again from the start, as the worker does, also
					// what was finished already and only not yet forgotten.
					if i >= 1 && i < 4 && token(r) {
						fetched(r)
					}
				}
			}
			r.w.expect(r.a.ID, login.Done, login.NoReason)
			r.w.emptyInbox()
			if n := r.w.log.count("attempt.approved", nil); n != 1 {
				t.Errorf("approved %d times", n)
			}
		})
	}
}

// The process ends while the push is under way. Whether it was sent is unknown:
// it is not sent again, and a callback completes the sign-in.
func TestACrashDuringThePush(t *testing.T) {
	w := newWorld(t)
	w.phone.answer = func(context.Context, string) (string, error) { panic("the process ends here") }
	func() {
		defer func() { recover() }()
		w.begin()
	}()
	w.restart()
	if w.phone.pushes() != 1 || !w.locked() {
		t.Errorf("%d pushes, locked %v", w.phone.pushes(), w.locked())
	}
	d := w.callback()
	expected, err := w.engine.Expects(t.Context(), d.Callback)
	w.must(err)
	if !expected {
		t.Error("the callback is not expected")
	}
	w.must(w.engine.Token(t.Context(), d))
	w.must(w.engine.Profile(t.Context(), d, profile(t, "asha", digits)))
	if !w.log.has("attempt.approved", nil) {
		t.Error("the attempt was not approved")
	}
}

// Two different tokens for one attempt: while one is tried, the other's failure
// does not end it. This must survive the way through the store.
func TestAFailedTokenLeavesAnotherItsChance(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	first, second := w.callback(), w.callback(func(d *truecaller.Delivery) { d.AccessToken = "another" })
	w.must(w.engine.Token(t.Context(), first))
	w.must(w.engine.Token(t.Context(), second))
	w.must(w.engine.Failed(t.Context(), first, truecaller.ErrUnauthorized))
	w.expect(a.ID, login.TokenReceived, login.NoReason)
	w.must(w.engine.Profile(t.Context(), second, profile(t, "asha", digits)))
	w.expect(a.ID, login.Approved, login.NoReason)
	w.emptyInbox()
}

// model is what an attempt may have become, by the events that it has seen.
type model struct {
	id       login.ID
	state    string // the state sent to Truecaller
	number   string
	last     login.Attempt
	approved int // right profiles brought by agreeing deliveries
	finished int // successful uses
}

var rank = map[login.State]int{login.Pushing: 1, login.Waiting: 2, login.TokenReceived: 3, login.Approved: 4,
	login.Done: 5, login.Rejected: 5, login.Expired: 5, login.Failed: 5}

// Random interleavings of everything that can happen to a few attempts at once,
// with crashes: after each event every attempt is where it may be.
func TestRandomInterleavings(t *testing.T) {
	ended := map[login.State]int{}
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(t)
		var attempts []*model
		var deliveries []truecaller.Delivery // brought at least once; may come again
		var trace []string
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("seed %d: %s\n%s", seed, fmt.Sprintf(format, args...), strings.Join(trace, "\n"))
		}
		for range 60 {
			var m *model
			if len(attempts) > 0 {
				m = attempts[random.IntN(len(attempts))]
			}
			event := random.IntN(12)
			if m == nil || event == 0 && len(attempts) < 4 {
				outcomes := []func(context.Context, string) (string, error){accepts, accepts, refuses(truecaller.PushNoAccount),
					refuses(truecaller.PushUnknown), refuses(truecaller.PushUnavailable)}
				w.phone.answer = outcomes[random.IntN(len(outcomes))]
				m = &model{number: fmt.Sprintf("4670174060%d", len(attempts))}
				m.id = w.start(dialled(t, m.number)).ID
				m.state = w.phone.state()
				attempts = append(attempts, m)
				trace = append(trace, "start "+string(m.id))
				w.settle()
			}
			deliver := func(change ...func(*truecaller.Delivery)) truecaller.Delivery {
				if len(deliveries) > 0 && random.IntN(5) == 0 { // an old one comes again
					d := deliveries[random.IntN(len(deliveries))]
					for _, other := range attempts {
						if other.state == d.State {
							m = other
						}
					}
					return d
				}
				w.next++
				d := truecaller.Delivery{ID: fmt.Sprint("d", w.next), App: "main", Received: time.Now(),
					Callback: truecaller.Callback{State: m.state, AccessToken: fmt.Sprint("token", w.next)}}
				if random.IntN(3) > 0 {
					d.RequestID = "request"
				}
				for _, c := range change {
					c(&d)
				}
				switch random.IntN(8) {
				case 0:
					d.App = "second"
				case 1:
					d.RequestID = "another"
				}
				w.must(w.store.PutDelivery(t.Context(), d))
				deliveries = append(deliveries, d)
				return d
			}
			ctx := t.Context()
			switch event {
			case 1, 2:
				d := deliver()
				trace = append(trace, fmt.Sprintf("token %+v", d))
				if err := w.engine.Token(ctx, d); err != nil && !errors.Is(err, truecaller.ErrNotFound) {
					fail("Token: %v", err)
				}
			case 3, 4, 5:
				d := deliver()
				trace = append(trace, fmt.Sprintf("profile %+v", d))
				if d.App == "main" {
					m.approved++
				}
				w.must(w.engine.Profile(ctx, d, profile(t, "id"+m.number, m.number)))
			case 6:
				d := deliver()
				trace = append(trace, fmt.Sprintf("wrong profile %+v", d))
				w.must(w.engine.Profile(ctx, d, profile(t, "mallory", "46701740699")))
			case 7:
				d := deliver(status([]string{"flow_invoked", "user_rejected", "use_another_number", "?"}[random.IntN(4)]))
				trace = append(trace, fmt.Sprintf("progress %+v", d))
				w.must(w.engine.Progress(ctx, d))
			case 8:
				d := deliver()
				trace = append(trace, fmt.Sprintf("failed %+v", d))
				w.must(w.engine.Failed(ctx, d, truecaller.ErrUnauthorized))
			case 9:
				trace = append(trace, "finish "+string(m.id))
				if _, err := w.finish(m.id); err == nil {
					m.finished++
				} else if !errors.Is(err, login.ErrState) {
					fail("Finish: %v", err)
				}
			case 10:
				if random.IntN(3) == 0 {
					trace = append(trace, "cancel "+string(m.id))
					w.must(w.engine.Cancel(ctx, m.id, browser))
				}
			case 11:
				trace = append(trace, "crash")
				w.restart()
			}
			w.settle()
			for _, m := range attempts {
				now, before := w.record(m.id), m.last
				m.last = now
				switch {
				case before.ID == "":
				case before.State.Terminal() && !reflect.DeepEqual(now, before):
					fail("%s was terminal in %s and is %s", m.id, before.State, now.State)
				case rank[now.State] < rank[before.State]:
					fail("%s went from %s back to %s", m.id, before.State, now.State)
				}
				switch {
				case now.State == login.Approved && m.approved == 0:
					fail("%s is approved, and no profile of its number was brought", m.id)
				case now.State == login.Done && m.finished != 1, now.State != login.Done && m.finished != 0:
					fail("%s is %s, used %d times", m.id, now.State, m.finished)
				case now.Sub != "" && now.State != login.Approved && now.State != login.Done && now.Reason != login.Cancelled:
					fail("%s is %s with a subject", m.id, now.State)
				}
			}
		}
		for _, m := range attempts {
			ended[m.last.State]++
			if m.last.Sub == "" {
				continue
			}
			person, err := w.store.Person(t.Context(), m.last.Sub)
			w.must(err)
			if person.Number.Digits() != m.number || person.TruecallerID != "id"+m.number {
				fail("%s signed %s in", m.number, person.Number)
			}
		}
		w.must(w.store.Close())
	}
	for _, s := range []login.State{login.Approved, login.Done, login.Rejected, login.Failed} {
		if ended[s] == 0 {
			t.Errorf("no walk ended in %s: the test shows nothing about it", s)
		}
	}
}
