package postgres

import (
	"errors"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
)

// Processes whose clocks differ by hours agree on when a lock and a budget end, and
// each says so in its own time.
func TestInvariant7_ClocksThatDiffer(t *testing.T) {
	dsn := database(t)
	clock := func(by time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(by) } }
	const fast, slow = 3 * time.Hour, -3 * time.Hour
	a, b := open(t, Options{DSN: redact.Text(dsn), now: clock(fast)}), open(t, Options{DSN: redact.Text(dsn), now: clock(slow)})
	ctx := t.Context()
	for _, s := range []*Store{a, b} { // measures
		if err := s.write(ctx, func(t *txn) error { return t.look() }); err != nil {
			t.Fatal(err)
		}
	}
	lock := limit.Key{Kind: limit.Lock, ID: "1"}
	network := limit.Charge{Key: limit.Key{Kind: limit.Network, ID: "1"}, Rate: limit.Rate{Burst: 2, Period: time.Hour}}
	spend := limit.Spend{Lock: lock, LockFor: 5 * time.Minute, LockAtMost: time.Hour, Asker: []limit.Charge{network}}
	first := newAttempt()
	if err := a.CreateAttempt(ctx, first, spend, a.options.now()); err != nil {
		t.Fatal(err)
	}
	about := func(what string, got time.Time, s *Store, want time.Duration) {
		t.Helper()
		if off := got.Sub(s.options.now().Add(want)); off.Abs() > time.Minute {
			t.Errorf("%s: %s away from what it should be", what, off)
		}
	}
	for _, s := range []*Store{a, b} {
		states, err := s.LimitStates(ctx, lock, network.Key)
		if err != nil {
			t.Fatal(err)
		}
		about("the lock", states[0].Until, s, 5*time.Minute)
		about("the budget", states[1].Until, s, 30*time.Minute)
		err = s.CreateAttempt(ctx, newAttempt(), spend, s.options.now())
		refused, ok := errors.AsType[*limit.Exceeded](err)
		if !ok || refused.Kind != limit.Lock {
			t.Fatalf("%v, want a refusal by the lock", err)
		}
		about("the refusal", refused.RetryAt, s, 5*time.Minute)
	}
	// What one cools down is cool for the other.
	_, err := a.UpdateAttempt(ctx, first.ID, func(at login.Attempt) (login.Update, error) {
		return login.Update{Attempt: at, Effects: login.Effects{CoolDown: a.options.now().Add(15 * time.Minute)}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	states, err := b.LimitStates(ctx, lock)
	if err != nil {
		t.Fatal(err)
	}
	about("the cool-down", states[0].Until, b, 15*time.Minute)
	if ahead := a.Stats().ClockAhead; (ahead + fast).Abs() > time.Minute {
		t.Errorf("the database is ahead by %s, want %s", ahead, -fast)
	}
}
