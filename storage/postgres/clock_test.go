// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/truecaller"
)

// Processes whose clocks differ by hours agree on when a lock and a budget end, and
// each says so in its own time.
func TestInvariant7_ClocksThatDiffer(t *testing.T) {
	dsn := database(t)
	clock := func(by time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(by) } }
	const fast, slow = 3 * time.Hour, -3 * time.Hour
	a, b := open(t, Options{DSN: redact.Text(dsn), now: clock(fast)}), open(t, Options{DSN: redact.Text(dsn), now: clock(slow)})
	ctx := t.Context()
	lock := limit.Key{Kind: limit.Lock, ID: "1"}
	network := limit.Charge{Key: limit.Key{Kind: limit.Network, ID: "1"}, Rate: limit.Rate{Burst: 2, Period: time.Hour}}
	spend := limit.Spend{Lock: lock, LockFor: 5 * time.Minute, LockAtMost: time.Hour, Asker: []limit.Charge{network}}
	first := newAttempt()
	first.Created, first.Expires = first.Created.Add(fast), first.Expires.Add(fast)
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

// What one process stores lives as long for another one whose clock differs: attempts,
// sessions, codes, grants, tokens, deliveries, replaced secrets and keys.
func TestInvariant9_ClocksThatDiffer(t *testing.T) {
	dsn := database(t)
	clock := func(by time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(by) } }
	fast, slow := open(t, Options{DSN: redact.Text(dsn), now: clock(5 * time.Minute)}), open(t, Options{DSN: redact.Text(dsn), now: clock(-5 * time.Minute)})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []*Store{fast, slow} {
		to := fast
		if from == fast {
			to = slow
		}
		here, there := from.options.now(), to.options.now()
		about := func(what string, got time.Time, in time.Duration) {
			t.Helper()
			if off := got.Sub(there.Add(in)); off.Abs() > 30*time.Second {
				t.Errorf("%s: %s away from what it should be", what, off)
			}
		}
		id := keys.RandomText(8)
		a := newAttempt()
		a.Created, a.Expires, a.Browser = here, here.Add(time.Minute), [32]byte([]byte(id+id+id+"12345678"))
		must(from.CreateAttempt(ctx, a, limit.Spend{}, here))
		got, err := to.Attempt(ctx, a.ID)
		must(err)
		about("the attempt", got.Expires, time.Minute)
		if live, err := to.LiveAttempts(ctx, a.Browser, there); err != nil || len(live) != 1 || !got.Live(there) {
			t.Errorf("a live attempt is over elsewhere: %v, %v", live, err)
		}
		if live, err := to.LiveAttempts(ctx, a.Browser, there.Add(2*time.Minute)); err != nil || len(live) != 0 {
			t.Errorf("an attempt lives longer elsewhere: %v, %v", live, err)
		}
		code := grant.Code{Hash: grant.CodeHash([]byte(id + id + id + "12345678")), Expires: here.Add(time.Minute),
			Grant: grant.Grant{ID: id, Sub: id, SID: id, ClientID: "shop", Created: here, AuthTime: here, Expires: here.Add(time.Hour)}}
		_, err = from.FinishAttempt(ctx, a.ID, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
			a.State = login.Done
			return login.SignIn{Attempt: a, Code: code, Session: session.Session{ID: id, Secret: session.SecretHash(code.Hash), Sub: id,
				AuthTime: here, Created: here, Expires: here.Add(time.Minute)}}, nil
		})
		must(err)
		s, err := to.Session(ctx, id)
		must(err)
		about("the session", s.Expires, time.Minute)
		about("auth_time", s.AuthTime, 0)
		stored, _, err := to.Code(ctx, code.Hash)
		must(err)
		about("the code", stored.Expires, time.Minute)
		token := grant.AccessToken{Hash: grant.TokenHash(code.Hash), GrantID: id, Issued: there, Expires: there.Add(time.Minute)}
		_, err = to.UseCode(ctx, code.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
			c.Redeemed = true
			return grant.Redemption{Code: &c, Grant: &c.Grant, Access: &token}
		})
		must(err)
		known, g, err := from.AccessToken(ctx, token.Hash)
		must(err)
		about("the token", known.Expires.Add(there.Sub(here)), time.Minute)
		about("the grant", g.Expires.Add(there.Sub(here)), time.Hour)
		old := grant.AccessToken{Hash: grant.TokenHash{1}, GrantID: id, Issued: here, Expires: here.Add(-time.Second)}
		_, err = from.UseGrant(ctx, id, func(g grant.Grant) grant.Redemption { return grant.Redemption{Grant: &g, Access: &old} })
		must(err)
		for _, s := range []*Store{from, to} {
			if _, _, err := s.AccessToken(ctx, old.Hash); !errors.Is(err, grant.ErrNotFound) {
				t.Errorf("an expired token works: %v", err)
			}
		}
		_, err = from.PutDelivery(ctx, truecaller.Delivery{ID: id, Received: here})
		must(err)
		exec(t, dsn, "UPDATE deliveries SET until = now() - interval '1 hour', node = 'dead'")
		all, err := to.Deliveries(ctx, 10)
		must(err)
		about("the delivery", all[len(all)-1].Received, 0)
		must(to.DropDelivery(ctx, id))
		_, err = from.UseCallbackSecret(ctx, id, [32]byte{1}, here, time.Minute)
		must(err)
		_, err = from.UseCallbackSecret(ctx, id, [32]byte{2}, here, time.Minute)
		must(err)
		secrets, err := to.UseCallbackSecret(ctx, id, [32]byte{2}, there, time.Minute)
		must(err)
		if len(secrets) != 1 {
			t.Errorf("%d old secrets are good, want 1", len(secrets))
		} else {
			about("the old secret", secrets[0].Until, time.Minute)
		}
	}
}

// Only a difference of clocks counts as one: not how long an answer took, nor what a
// slow answer leaves open.
func TestClockMeasured(t *testing.T) {
	s := &Store{log: slog.New(slog.DiscardHandler)}
	now := time.Now()
	for _, row := range []struct {
		name        string
		took, ahead time.Duration // of the answer; what it said
		want        time.Duration
	}{
		{"no difference", time.Millisecond, 0, 0},
		{"a small one", time.Millisecond, 900 * time.Millisecond, 0},
		{"a slow answer", 20 * time.Second, 0, 0},
		{"five minutes", 2 * time.Millisecond, 5 * time.Minute, 5*time.Minute - time.Millisecond},
		{"a slow answer that agrees", 20 * time.Second, 5*time.Minute + 10*time.Second, 5*time.Minute - time.Millisecond},
		{"almost the same", time.Millisecond, 5*time.Minute + 500*time.Millisecond, 5*time.Minute - time.Millisecond},
		{"the other way", 2 * time.Millisecond, -time.Hour, -time.Hour - time.Millisecond},
		{"put right", time.Millisecond, time.Millisecond, 0},
	} {
		s.measure(now, now.Add(row.took), now.Add(row.ahead))
		if got := time.Duration(s.ahead.Load()); got != row.want {
			t.Errorf("%s: the database is ahead by %s, want %s", row.name, got, row.want)
		}
	}
}

// A transaction that waits for a lock measures nothing.
func TestClockOfAWait(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn), now: func() time.Time { return time.Now().Add(-time.Hour) }})
	before := s.Stats().ClockAhead
	err := s.write(t.Context(), func(t *txn) error {
		t.run("SELECT pg_sleep(0.5)")
		return t.look()
	})
	if after := s.Stats().ClockAhead; err != nil || after != before {
		t.Errorf("the difference was %s, and is %s after a wait, %v", before, after, err)
	}
}

// What has expired is decided by the time in the seal: who changes a column makes
// nothing live longer, and ends nothing.
func TestThreat_ExpiryBelievesTheSeal(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn)})
	ctx := t.Context()
	stores := func(id string, lasts time.Duration) (a login.Attempt, code grant.Code, token grant.AccessToken) {
		t.Helper()
		now := time.Now()
		a = newAttempt()
		code = grant.Code{Hash: grant.CodeHash([]byte(strings.Repeat(id, 32))), Expires: now.Add(time.Hour),
			Grant: grant.Grant{ID: id, Sub: id, SID: id, Created: now, Expires: now.Add(time.Hour)}}
		token = grant.AccessToken{Hash: grant.TokenHash(code.Hash), GrantID: id, Expires: now.Add(lasts)}
		created := s.CreateAttempt(ctx, a, limit.Spend{}, now)
		_, finished := s.FinishAttempt(ctx, a.ID, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
			a.State = login.Done
			return login.SignIn{Attempt: a, Code: code,
				Session: session.Session{ID: id, Secret: session.SecretHash(code.Hash), Sub: id, Created: now, Expires: now.Add(time.Hour)}}, nil
		})
		_, redeemed := s.UseCode(ctx, code.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
			c.Redeemed, c.Grant.Expires = true, now.Add(lasts)
			return grant.Redemption{Code: &c, Grant: &c.Grant, Access: &token}
		})
		if err := errors.Join(created, finished, redeemed); err != nil {
			t.Fatal(err)
		}
		return a, code, token
	}
	fresh, freshCode, freshToken := stores("f", time.Hour)
	_, _, oldToken := stores("o", -time.Minute)
	used, old := client.AssertionID{1}, client.AssertionID{2}
	if err := errors.Join(s.UseAssertion(ctx, used, time.Now().Add(time.Hour)), s.UseAssertion(ctx, old, time.Now().Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	for _, column := range []string{"now() - interval '1 day'", "now() + interval '1 day'"} {
		for _, table := range []string{"attempts", "sessions", "codes", "grants", "access_tokens", "assertions"} {
			exec(t, dsn, "UPDATE "+table+" SET expires = "+column)
		}
		if _, _, err := s.AccessToken(ctx, oldToken.Hash); !errors.Is(err, grant.ErrNotFound) {
			t.Errorf("%s: an expired token works: %v", column, err)
		}
		if _, err := s.Grant(ctx, "o"); !errors.Is(err, grant.ErrNotFound) {
			t.Errorf("%s: an expired grant works: %v", column, err)
		}
		if err := s.UseAssertion(ctx, used, time.Now().Add(time.Hour)); !errors.Is(err, client.ErrReplayed) {
			t.Errorf("%s: an assertion works twice: %v", column, err)
		}
		if err := s.UseAssertion(ctx, old, time.Now().Add(-time.Hour)); err != nil {
			t.Errorf("%s: an assertion that has expired is in the way: %v", column, err)
		}
		_, attempt := s.Attempt(ctx, fresh.ID)
		_, _, code := s.Code(ctx, freshCode.Hash)
		_, _, token := s.AccessToken(ctx, freshToken.Hash)
		_, session := s.Session(ctx, "f")
		if err := errors.Join(attempt, code, token, session); err != nil {
			t.Errorf("%s: %v", column, err)
		}
	}
}
