// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/truecaller"
)

// rank orders the states: an attempt never goes to a lower one.
var rank = map[login.State]int{login.Pushing: 1, login.Waiting: 2, login.TokenReceived: 3, login.Approved: 4,
	login.Done: 5, login.Rejected: 5, login.Expired: 5, login.Failed: 5}

// model is what an attempt may have become, by the events that it has seen.
type model struct {
	id       login.ID
	method   login.Method
	secret   string // the state sent with the push, or the nonce in the link
	number   string // of the phone
	last     login.Attempt
	approved int // right profiles brought by agreeing deliveries
	finished int // successful uses
}

// walk is one random interleaving of everything that can happen to a few
// attempts at once.
type walk struct {
	*world
	seed       uint64
	random     *rand.Rand
	attempts   []*model
	deliveries []truecaller.Delivery // brought at least once; may come again
	trace      []string
	seen       map[string]int // what happened, over all walks
}

func (k *walk) fail(format string, args ...any) {
	k.t.Helper()
	k.t.Fatalf("seed %d: %s\n%s", k.seed, fmt.Sprintf(format, args...), strings.Join(k.trace, "\n"))
}

func (k *walk) did(what, format string, args ...any) {
	k.seen[what]++
	k.trace = append(k.trace, what+" "+fmt.Sprintf(format, args...))
}

// push starts a push attempt for a number that may be asked already. While the
// push is under way, its callback may come.
func (k *walk) push() {
	number := fmt.Sprintf("4670174060%d", k.random.IntN(4))
	m := &model{method: login.Push, number: number}
	outcomes := []func(context.Context, string) (string, error){accepts, accepts, accepts, refuses(truecaller.PushNoAccount),
		refuses(truecaller.PushUnknown), refuses(truecaller.PushUnavailable), refuses(truecaller.PushAppKeyRejected)}
	answer := outcomes[k.random.IntN(len(outcomes))]
	k.phone.answer = func(ctx context.Context, state string) (string, error) {
		m.secret = state
		a, err := k.store.AttemptByCorrelation(ctx, sha256.Sum256([]byte(state)))
		k.must(err) // it is durable before anything is sent
		m.id = a.ID
		k.attempts = append(k.attempts, m)
		for range k.random.IntN(3) {
			k.trace = append(k.trace, "  while the push is under way:")
			k.callbackFor(m)
		}
		return answer(ctx, state)
	}
	open := ""
	for _, other := range k.attempts {
		if other.method == login.Push && other.number == number && other.last.State != "" && !k.record(other.id).State.Terminal() && other.last.Sub == "" {
			open = string(other.id)
		}
	}
	request := fmt.Sprint(k.random.IntN(3))
	started, err := k.begin(dialled(k.t, number), asking("client "+request, request+" of "+number), func(r *login.PushRequest) { r.Form = "" })
	full := (*limit.Exceeded)(nil)
	switch {
	case errors.As(err, &full):
		k.did("locked", "%s", number)
		return
	case err != nil:
		k.fail("Start: %v", err)
	case string(started.ID) == open: // it holds the lock
		if a := k.record(started.ID); string(a.Request) != request+" of "+number {
			k.fail("%s serves %q, want the newest request, %s", open, a.Request, request)
		}
		k.did("led", "to %s", open)
		return
	case open != "":
		k.fail("%s was asked while %s is open (invariant 7)", number, open)
	}
	k.did("push", "%s of %s", m.id, number)
}

func (k *walk) tapLink() {
	k.next++
	m := &model{method: login.OneTap, secret: fmt.Sprintf("%043d", k.next), number: fmt.Sprintf("4670174060%d", k.random.IntN(4))}
	a, err := k.tap(func(s *login.OneTapRequest) { s.Nonce = redact.Text(m.secret) })
	k.must(err)
	m.id = a.ID
	k.attempts = append(k.attempts, m)
	k.did("one-tap", "%s of %s", m.id, m.number)
}

// deliver is a callback for the attempt, or one that came before, for whichever
// attempt it was. Some go to another app's address or name another request.
func (k *walk) deliver(m *model, change ...func(*truecaller.Delivery)) (truecaller.Delivery, *model) {
	if len(k.deliveries) > 0 && k.random.IntN(5) == 0 {
		d := k.deliveries[k.random.IntN(len(k.deliveries))]
		for _, other := range k.attempts {
			if other.secret == d.State || other.secret == d.RequestID {
				m = other
			}
		}
		k.did("again", "%s", d.ID)
		return d, m
	}
	k.next++
	d := truecaller.Delivery{ID: fmt.Sprint("d", k.next), App: "main", Received: time.Now(),
		Callback: truecaller.Callback{AccessToken: fmt.Sprint("token", k.next)}}
	if m.method == login.OneTap {
		d.RequestID = m.secret
	} else {
		d.State = m.secret
		if k.random.IntN(3) > 0 {
			d.RequestID = "request"
		}
	}
	for _, c := range change {
		c(&d)
	}
	switch k.random.IntN(8) {
	case 0:
		d.App = "second"
	case 1:
		d.RequestID = "another"
	}
	_, err := k.store.PutDelivery(k.t.Context(), d)
	k.must(err)
	k.deliveries = append(k.deliveries, d)
	return d, m
}

// callbackFor brings one callback, and the work on it as far as it gets.
func (k *walk) callbackFor(m *model) {
	ctx := k.t.Context()
	switch k.random.IntN(8) {
	case 0, 1:
		d, _ := k.deliver(m)
		k.did("token", "%s", d.ID)
		if err := k.engine.Token(ctx, d); err != nil && !errors.Is(err, truecaller.ErrNotFound) {
			k.fail("Token: %v", err)
		}
	case 2, 3, 4:
		d, m := k.deliver(m)
		k.did("profile", "%s for %s", d.ID, m.id)
		if known := string(k.record(m.id).RequestID); d.App == "main" && (known == "" || d.RequestID == "" || d.RequestID == known) {
			m.approved++
		}
		k.must(k.engine.Profile(ctx, d, profile(k.t, "id"+m.number, m.number)))
	case 5:
		d, m := k.deliver(m)
		k.did("wrong profile", "%s for %s", d.ID, m.id)
		numbers := []string{"46701740699"}
		if m.method == login.OneTap { // it has no wrong number, but it can have too many
			numbers = append(numbers, "46701740698")
		}
		k.must(k.engine.Profile(ctx, d, profile(k.t, "mallory", numbers...)))
	case 6:
		what := []string{"flow_invoked", "flow_invoked", "user_rejected", "use_another_number", "?"}[k.random.IntN(5)]
		d, m := k.deliver(m, status(what))
		k.did(what, "%s for %s", d.ID, m.id)
		k.must(k.engine.Progress(ctx, d))
	case 7:
		d, m := k.deliver(m)
		k.did("failed", "%s for %s", d.ID, m.id)
		k.must(k.engine.Failed(ctx, d, []error{truecaller.ErrUnauthorized, truecaller.ErrForeignEndpoint}[k.random.IntN(2)]))
	}
}

// step is one event.
func (k *walk) step() {
	if len(k.attempts) == 0 {
		k.push()
		return
	}
	m := k.attempts[k.random.IntN(len(k.attempts))]
	switch k.random.IntN(14) {
	case 0, 1:
		if len(k.attempts) < 8 {
			k.push()
		}
	case 2:
		if len(k.attempts) < 8 {
			k.tapLink()
		}
	case 3, 4:
		if _, err := k.finish(m.id); err == nil {
			m.finished++
			k.did("finish", "%s", m.id)
		} else if !errors.Is(err, login.ErrState) {
			k.fail("Finish: %v", err)
		}
	case 5:
		if k.random.IntN(3) == 0 {
			k.did("cancel", "%s", m.id)
			k.must(k.engine.Cancel(k.t.Context(), m.id, browser))
		}
	case 6:
		k.did("crash", "")
		k.restart()
	case 7:
		pause := time.Duration(k.random.Int64N(int64(3 * time.Minute)))
		k.did("time", "%s", pause)
		time.Sleep(pause)
	default:
		k.callbackFor(m)
	}
}

// look checks that every attempt is where it may be.
func (k *walk) look() {
	for _, m := range k.attempts {
		now, before := k.record(m.id), m.last
		m.last = now
		switch {
		case before.ID == "":
		case before.State.Terminal() && !reflect.DeepEqual(now, before):
			k.fail("%s was terminal in %s and is %s", m.id, before.State, now.State)
		case rank[now.State] < rank[before.State]:
			k.fail("%s went from %s back to %s", m.id, before.State, now.State)
		case !before.Invoked.IsZero() && !now.Invoked.Equal(before.Invoked):
			k.fail("%s: the dialog opened twice", m.id)
		case before.State == login.TokenReceived && before.Invoked.IsZero() && !now.Invoked.IsZero():
			k.fail("%s: flow_invoked counts after a token", m.id)
		}
		switch {
		case !time.Now().Before(now.Expires) && !now.State.Terminal():
			k.fail("%s is %s after its end", m.id, now.State)
		case now.State == login.Approved && m.approved == 0:
			k.fail("%s is approved, and no profile of its number was brought (invariant 3)", m.id)
		case now.State == login.Done && m.finished != 1, now.State != login.Done && m.finished != 0:
			k.fail("%s is %s, used %d times (invariant 9)", m.id, now.State, m.finished)
		case now.Sub != "" && now.State != login.Approved && now.State != login.Done && now.State != login.Expired && now.Reason != login.Cancelled:
			k.fail("%s is %s with a subject", m.id, now.State)
		case m.method == login.OneTap && now.Sub == "" && !now.Number.IsZero():
			k.fail("%s has a number that nobody has vouched for", m.id)
		}
	}
}

// Random interleavings of everything that can happen to a few attempts of both
// methods at once, with time that passes and crashes: after each event every
// attempt is where it may be, and at the end every subject is the right person.
func TestRandomInterleavings(t *testing.T) {
	seen, ended := map[string]int{}, map[string]int{}
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, offersOneTap)
			k := &walk{world: w, seed: seed, random: rand.New(rand.NewPCG(seed, 3)), seen: seen}
			for range 60 {
				k.step()
				k.settle()
				k.look()
			}
			for _, m := range k.attempts {
				ended[string(m.method)+" "+string(m.last.State)]++
				if m.last.Sub == "" {
					continue
				}
				person, err := w.store.Person(t.Context(), m.last.Sub)
				w.must(err)
				if person.Number.Digits() != m.number || person.TruecallerID != "id"+m.number {
					k.fail("%s signed %s in", m.number, person.Number)
				}
			}
			w.must(w.store.Close())
		})
	}
	for _, method := range []login.Method{login.Push, login.OneTap} {
		for _, s := range []login.State{login.Approved, login.Done, login.Rejected, login.Failed, login.Expired} {
			if ended[string(method)+" "+string(s)] == 0 {
				t.Errorf("no %s attempt ended in %s: the test shows nothing about it", method, s)
			}
		}
	}
	for _, what := range []string{"push", "locked", "led", "one-tap", "token", "profile", "wrong profile", "flow_invoked", "user_rejected", "failed", "again", "finish", "cancel", "crash", "time"} {
		if seen[what] == 0 {
			t.Errorf("no walk had %q", what)
		}
	}
}
