// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// exceeded checks that a spend was refused for a reason, and returns when to try
// again.
func (w *world) exceeded(err error, kind limit.Kind) time.Time {
	w.t.Helper()
	var e *limit.Exceeded
	if !errors.As(err, &e) || e.Kind != kind {
		w.t.Fatalf("error %v, want a refusal by %s", err, kind)
	}
	return e.RetryAt
}

func testLocks(t *testing.T, w *world) {
	a := w.create()
	other := w.attempt()
	other.Number = a.Number
	end := w.now.Add(5 * time.Minute)
	if retry := w.exceeded(w.CreateAttempt(w.ctx, other, lockOf(a), w.now), limit.Lock); !retry.Equal(end) {
		t.Errorf("retry at %v, want %v", retry, end)
	}
	_, err := w.Attempt(w.ctx, other.ID)
	w.is(err, login.ErrNotFound)
	w.reopen() // invariant 7: it survives a restart
	if !w.locked(a, end.Add(-time.Millisecond)) {
		t.Error("the lock ended early")
	}
	if w.locked(a, end) {
		t.Error("the lock did not end")
	}

	unlock := func(a login.Attempt, e login.Effects) {
		t.Helper()
		_, err := w.update(a.ID, func(*login.Attempt) (login.Effects, error) { return e, nil })
		w.must(err)
	}
	// Only the lock's holder may release it.
	w.must(w.CreateAttempt(w.ctx, other, lockOf(a), end))
	unlock(a, login.Effects{Unlock: true})
	if !w.locked(a, end) {
		t.Error("an attempt released the lock of a later one")
	}
	unlock(other, login.Effects{Unlock: true})
	if w.locked(a, end) {
		t.Error("the lock was not released")
	}
	unlock(other, login.Effects{Unlock: true})

	// A cool-down takes the place of the lock.
	b := w.create()
	cool := w.now.Add(10 * time.Minute)
	unlock(b, login.Effects{CoolDown: cool})
	if !w.locked(b, cool.Add(-time.Millisecond)) || w.locked(b, cool) {
		t.Error("the lock does not end with the cool-down")
	}

	// An approval keeps the lock for others than the browser that was approved.
	c := w.create()
	quiet := w.now.Add(2 * time.Minute)
	unlock(c, login.Effects{Approved: quiet})
	w.reopen()
	if !w.locked(c, quiet.Add(-time.Millisecond)) || w.locked(c, quiet) {
		t.Error("an approval does not keep the lock")
	}
	same := w.attempt()
	same.Number, same.Browser = c.Number, c.Browser
	w.must(w.CreateAttempt(w.ctx, same, lockOf(same), w.now))
	again := w.attempt()
	again.Number, again.Browser = c.Number, c.Browser
	var held *limit.Exceeded
	if err := w.CreateAttempt(w.ctx, again, lockOf(again), w.now); !errors.As(err, &held) || held.Holder != string(same.ID) {
		t.Errorf("%+v (%v), want the lock that attempt %s holds", held, err, same.ID)
	}
	unlock(c, login.Effects{Approved: quiet}) // it ends the lock of a later attempt no sooner
	if !w.locked(c, w.now.Add(5*time.Minute-time.Millisecond)) {
		t.Error("an approval shortened the lock of a later attempt")
	}
	late := w.now.Add(time.Hour)
	unlock(c, login.Effects{Approved: late}) // and keeps it for as long as any other
	unlock(same, login.Effects{Unlock: true})
	w.reopen()
	if !w.locked(c, late.Add(-time.Millisecond)) || w.locked(c, late) {
		t.Error("a late approval does not keep the lock")
	}

	// A push in a lane of its own blocks others, and answers release both locks. The lane
	// is free as soon as the user has approved.
	lane := limit.Key{Kind: limit.DeviceLock, ID: "lane"}
	d := w.attempt()
	spend := lockOf(d)
	spend.Block, spend.Lock = spend.Lock, lane
	inLane := func(want bool, at time.Time) {
		t.Helper()
		states, err := w.LimitStates(w.ctx, lane)
		w.must(err)
		if locked := states[0].Until.After(at); locked != want {
			t.Errorf("the lane is locked: %v", locked)
		}
	}
	w.must(w.CreateAttempt(w.ctx, d, spend, w.now))
	w.reopen()
	inLane(true, w.now)
	if !w.locked(d, w.now) {
		t.Error("a push in a lane of its own does not block others")
	}
	unlock(d, login.Effects{Approved: quiet})
	inLane(false, w.now)
	if !w.locked(d, quiet.Add(-time.Millisecond)) || w.locked(d, quiet) {
		t.Error("an approval in a lane of its own does not keep others out")
	}
	e := w.attempt()
	e.Number = d.Number
	w.must(w.CreateAttempt(w.ctx, e, spend, w.now))
	unlock(e, login.Effects{CoolDown: cool, Unsolved: cool.Add(time.Hour)})
	w.reopen()
	if !w.locked(e, cool.Add(-time.Millisecond)) || w.locked(e, cool) {
		t.Error("a decline in a lane of its own does not keep others out for as long as any")
	}
	inLane(true, cool.Add(time.Hour-time.Millisecond))
	inLane(false, cool.Add(time.Hour))
	ask := func(solved bool, at time.Time) error {
		a := w.attempt()
		a.Number = e.Number
		spend.Cooling = limit.Cooling{Lane: true, Solved: solved}
		return w.CreateAttempt(w.ctx, a, spend, at)
	}
	if retry := w.exceeded(ask(true, cool.Add(-time.Millisecond)), limit.DeviceLock); !retry.Equal(cool) {
		t.Errorf("a declined lane opens at %v for who solves a challenge", retry)
	}
	if retry := w.exceeded(ask(false, cool), limit.DeviceLock); !retry.Equal(cool.Add(time.Hour)) {
		t.Errorf("a declined lane opens at %v for who solves none", retry)
	}
	w.must(ask(true, cool))

	// Without a lock in the spend, none is taken.
	free := w.attempt()
	w.must(w.CreateAttempt(w.ctx, free, limit.Spend{LockFor: time.Hour}, w.now))
	w.must(w.CreateAttempt(w.ctx, w.attempt(), limit.Spend{LockFor: time.Hour}, w.now))
	if w.locked(free, w.now) {
		t.Error("a lock was taken without a request")
	}
	unlock(free, login.Effects{Unlock: true})
}

// A push in a lane of its own holds the number's lock until it ends, also if another
// attempt has the lock: that one's end does not release it before.
func testExtendedLocks(t *testing.T, w *world) {
	half, end := w.now.Add(2*time.Minute), w.now.Add(7*time.Minute)
	quiet := end.Add(time.Hour)
	both := func() (stranger, known login.Attempt) {
		t.Helper()
		stranger, known = w.create(), w.attempt()
		known.Number = stranger.Number
		spend := lockOf(known)
		spend.Lock, spend.Block = limit.Key{Kind: limit.DeviceLock, ID: string(known.ID)}, spend.Lock
		w.must(w.CreateAttempt(w.ctx, known, spend, half))
		w.reopen()
		return stranger, known
	}
	ends := func(what string, a login.Attempt, e login.Effects, want time.Time) {
		t.Helper()
		_, err := w.update(a.ID, func(*login.Attempt) (login.Effects, error) { return e, nil })
		w.must(err)
		w.reopen()
		if !w.locked(a, want.Add(-time.Millisecond)) || w.locked(a, want) {
			t.Errorf("%s: the lock does not end at %v", what, want)
		}
	}
	for what, e := range map[string]login.Effects{
		"not sent": {Unlock: true},
		"approved": {Approved: half},
		"declined": {CoolDown: half},
	} {
		stranger, known := both()
		ends("the holder's was "+what, stranger, e, end)
		ends("the other's was approved thereafter", known, login.Effects{Approved: quiet}, quiet)
		stranger, known = both()
		ends("the other's was approved first", known, login.Effects{Approved: quiet}, quiet)
		ends("the holder's was "+what+" thereafter", stranger, e, quiet)
	}
	stranger, known := both()
	ends("the other's was not sent", known, login.Effects{Unlock: true}, end)
	ends("the holder's was approved", stranger, login.Effects{Approved: quiet}, quiet)
	again := w.attempt()
	again.Number, again.Browser = stranger.Number, stranger.Browser
	w.exceeded(w.CreateAttempt(w.ctx, again, lockOf(again), end.Add(-time.Millisecond)), limit.Lock)
	w.must(w.CreateAttempt(w.ctx, again, lockOf(again), end))
}

// A number's cool-down rises with each attempt, and its last attempt may change it; a
// refusal by it stores nothing.
func testCoolDowns(t *testing.T, w *world) {
	rule := limit.CoolDown{First: 15 * time.Minute, Longest: 4 * time.Hour}
	key := limit.Key{Kind: limit.CoolingOff, ID: "46701740605"}
	at := w.now
	push := func(solved bool) (login.Attempt, error) {
		a := w.attempt()
		a.Created, a.Expires = at, at.Add(5*time.Minute)
		return a, w.CreateAttempt(w.ctx, a, limit.Spend{Cooling: limit.Cooling{Key: key, Rule: rule, Solved: solved}}, at)
	}
	state := func() limit.State {
		t.Helper()
		states, err := w.LimitStates(w.ctx, key)
		w.must(err)
		return states[0]
	}
	want := func(what string, pushes int, free time.Time, a login.Attempt) {
		t.Helper()
		w.reopen()
		got := state()
		if n := rule.Count(got, at); n != pushes || !got.Free.Equal(free) || got.Holder != a.Holder() {
			t.Errorf("%s: %d pushes, free at %v, by %v; want %d, %v, %v", what, n, got.Free, got.Holder, pushes, free, a.Holder())
		}
	}
	end := func(a login.Attempt, how limit.PushEnd) {
		t.Helper()
		_, err := w.update(a.ID, func(*login.Attempt) (login.Effects, error) {
			return login.Effects{Push: limit.Ended{How: how, Rule: rule, At: at}}, nil
		})
		w.must(err)
	}
	a, err := push(false)
	w.must(err)
	want("one push", 1, at, a)
	b, err := push(false)
	w.must(err)
	want("two pushes", 2, at.Add(15*time.Minute), b)
	before := state()
	_, err = push(false)
	if retry := w.exceeded(err, limit.CoolingOff); !retry.Equal(at.Add(15 * time.Minute)) {
		t.Errorf("retry at %v", retry)
	}
	if got := state(); got != before {
		t.Errorf("a refusal changed it: %+v, was %+v", got, before)
	}
	for _, how := range []limit.PushEnd{limit.Declined, limit.Unsent, limit.Unanswered} {
		end(a, how) // another attempt has raised it since
	}
	end(b, limit.Unanswered)
	want("two pushes still", 2, at.Add(15*time.Minute), b)
	c, err := push(true)
	w.must(err)
	want("a solved one", 3, at.Add(30*time.Minute), c)
	end(c, limit.Unsent)
	want("which was not sent", 2, at, c)
	d, err := push(false)
	w.must(err)
	end(d, limit.Declined)
	want("a declined one", 4, at.Add(time.Hour), d)
	e, err := push(true)
	w.must(err)
	end(e, limit.Answered)
	if got := state(); got != (limit.State{}) {
		t.Errorf("approved, and %+v", got)
	}
	// Also by an earlier attempt, and by one in a lane of its own, which raises none.
	lane := w.attempt()
	w.must(w.CreateAttempt(w.ctx, lane, limit.Spend{Cooling: limit.Cooling{Key: key, Rule: rule, Lane: true}}, at))
	for _, who := range []login.Attempt{e, lane} {
		f, err := push(true)
		w.must(err)
		end(lane, limit.Unsent)
		end(lane, limit.Declined)
		want("raised again", 1, at, f)
		end(who, limit.Answered)
		w.reopen()
		if got := state(); got != (limit.State{}) {
			t.Errorf("approved, and %+v", got)
		}
	}
	if a, err = push(false); err == nil {
		w.must(w.ClearLimits(w.ctx, key))
	}
	w.must(err)
	end(a, limit.Declined)
	if got := state(); got != (limit.State{}) {
		t.Errorf("cleared, and %+v", got)
	}
}

// LimitStates shows what is kept, changes nothing, and knows nothing of what was
// refused.
func testLimitStates(t *testing.T, w *world) {
	states := func(keys ...limit.Key) []time.Time {
		t.Helper()
		got, err := w.LimitStates(w.ctx, keys...)
		w.must(err)
		if len(got) != len(keys) {
			t.Fatalf("%d states of %d keys", len(got), len(keys))
		}
		times := make([]time.Time, len(got))
		for i, state := range got {
			times[i] = state.Until
		}
		return times
	}
	states()
	a := w.attempt()
	spend := lockOf(a)
	budget := limit.Charge{Key: limit.Key{Kind: limit.Network, ID: "192.0.2.9/32"}, Rate: limit.Rate{Burst: 2, Period: time.Hour}}
	spend.Asker = []limit.Charge{budget}
	unused := limit.Key{Kind: limit.Client, ID: budget.Key.ID}
	keys := []limit.Key{budget.Key, unused, spend.Lock}
	for _, state := range states(keys...) {
		if !state.IsZero() {
			t.Errorf("never used, and %v", state)
		}
	}
	w.must(w.CreateAttempt(w.ctx, a, spend, w.now))
	w.reopen()
	for range 2 { // looking changes nothing
		got := states(keys...)
		if !got[0].Equal(w.now.Add(30*time.Minute)) || !got[1].IsZero() || !got[2].Equal(w.now.Add(spend.LockFor)) {
			t.Errorf("states %v, at %v", got, w.now)
		}
		if left, next := budget.Left(got[0], w.now); left != 1 || !next.Equal(w.now) {
			t.Errorf("%d left, the next at %v", left, next)
		}
		w.exceeded(w.CreateAttempt(w.ctx, w.attempt(), spend, w.now), limit.Lock)
	}
	_, err := w.update(a.ID, func(*login.Attempt) (login.Effects, error) { return login.Effects{Unlock: true}, nil })
	w.must(err)
	if got := states(spend.Lock); !got[0].IsZero() {
		t.Errorf("released, and %v", got)
	}
}

// What is cleared is as if it had never been used; the rest stays, and who had
// the lock may still release it, or cool it down.
func testClearLimits(t *testing.T, w *world) {
	w.must(w.ClearLimits(w.ctx))
	w.must(w.ClearLimits(w.ctx, limit.Key{Kind: limit.Number, ID: "never used"}))
	a, b := w.attempt(), w.attempt()
	rate := limit.Rate{Burst: 1, Period: time.Hour}
	spend := func(a login.Attempt, network string) limit.Spend {
		s := lockOf(a)
		s.Asker = []limit.Charge{{Key: limit.Key{Kind: limit.Network, ID: network}, Rate: rate}}
		return s
	}
	first, second := spend(a, "first"), spend(b, "second")
	w.must(w.CreateAttempt(w.ctx, a, first, w.now))
	w.must(w.CreateAttempt(w.ctx, b, second, w.now))
	w.must(w.ClearLimits(w.ctx, first.Lock, first.Asker[0].Key))
	w.reopen()
	if w.locked(a, w.now) || !w.locked(b, w.now) {
		t.Error("the wrong lock was cleared")
	}
	w.must(w.CreateAttempt(w.ctx, w.attempt(), limit.Spend{Asker: first.Asker}, w.now))
	w.exceeded(w.CreateAttempt(w.ctx, w.attempt(), limit.Spend{Asker: second.Asker}, w.now), limit.Network)

	cool := w.now.Add(time.Minute)
	_, err := w.update(a.ID, func(*login.Attempt) (login.Effects, error) { return login.Effects{CoolDown: cool}, nil })
	w.must(err)
	if !w.locked(a, w.now) || w.locked(a, cool) {
		t.Error("a decline after the clearing does not cool down")
	}
}
