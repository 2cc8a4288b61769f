// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
)

const (
	insertLimit = "INSERT INTO limits (key, value, expires, due) VALUES ($1, $2, $3, $3)"
	// makeLimits makes places for the rows that are missing.
	makeLimits = `INSERT INTO limits (key, value, expires, due)
		SELECT key, '', now(), now() + $2::interval FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key, n) ORDER BY n
		ON CONFLICT DO NOTHING`
	// limitsInOrder locks rows in this order.
	limitsInOrder = `SELECT key, l.value FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key, n) JOIN limits l USING (key)
		ORDER BY n FOR UPDATE OF l`
)

// placeKept is how long a place in limits stays that was locked and not used.
const placeKept = 10 * time.Minute

// LimitStates implements login.Store.
func (s *Store) LimitStates(ctx context.Context, keys ...limit.Key) ([]limit.State, error) {
	return view(ctx, s, func(b *batch) func() ([]limit.State, error) {
		hidden := make([][32]byte, len(keys))
		for i, key := range keys {
			hidden[i] = s.sealer.LimitKey(key)
		}
		stored := b.limits(hidden)
		return func() ([]limit.State, error) {
			states := make([]limit.State, len(keys))
			for i, key := range hidden {
				states[i] = stored[key]
			}
			return states, nil
		}
	})
}

// ClearLimits implements admin.Budgets.
func (s *Store) ClearLimits(ctx context.Context, keys ...limit.Key) error {
	if len(keys) == 0 {
		return ctx.Err()
	}
	var hidden [][]byte
	for _, key := range slices.Compact(s.inOrder(keys)) {
		hidden = append(hidden, key[:])
	}
	return s.write(ctx, func(t *txn) error {
		// As for a sign-in, absent or not: else the statement that deletes would wait for a
		// row that a sign-in has made meanwhile, and the sign-in for another one.
		t.run(makeLimits, hidden, placeKept)
		t.all(len(hidden), limitsInOrder, hidden)
		t.put("DELETE FROM limits WHERE key = ANY($1)", hidden)
		return nil
	})
}

// limits queues a query for locks and budgets, expired or not: whether one has is for
// the caller, who has the time. The result is there when the batch was sent.
func (b *batch) limits(keys [][32]byte) map[[32]byte]limit.State {
	all := make([][]byte, len(keys))
	for i := range keys {
		all[i] = keys[i][:]
	}
	found := map[[32]byte]limit.State{}
	b.queue.Queue("SELECT key, value FROM limits WHERE key = ANY($1) AND value <> ''", all).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var key, value []byte
			if err := rows.Scan(&key, &value); err != nil {
				return err
			}
			var stored record.Limit
			if err := b.s.sealer.Open(&record.Limits, key, value, &stored); err != nil {
				return err
			}
			found[[32]byte(key)] = stored.State(b.s.fromDatabase(expiryOf(value)))
		}
		return rows.Err()
	})
	return found
}

// guessLimits is lockLimits for a guess.
func (t *txn) guessLimits(keys [][32]byte) map[[32]byte]limit.State {
	found := map[[32]byte]limit.State{}
	for _, key := range keys {
		value, exists := t.guess(&record.Limits, key[:])
		if !exists {
			continue
		}
		var stored record.Limit
		if t.s.sealer.Open(&record.Limits, key[:], value, &stored) != nil {
			t.unknown = true
			break
		}
		found[key] = stored.State(t.s.fromDatabase(expiryOf(value)))
	}
	return found
}

// lockLimits queues what locks rows in limits, in this order, and makes places for
// those that are missing.
func (t *txn) lockLimits(keys [][32]byte) map[[32]byte]limit.State {
	if len(keys) == 0 {
		return nil
	}
	if t.guesses {
		return t.guessLimits(keys)
	}
	b := &t.batch
	all := make([][]byte, len(keys))
	for i := range keys {
		all[i] = keys[i][:]
	}
	b.run(makeLimits, all, placeKept)
	found := map[[32]byte]limit.State{}
	n := 0
	b.queue.Queue(limitsInOrder, all).Query(func(rows pgx.Rows) error {
		for ; rows.Next(); n++ { // each as it is once it is locked
			var key, value []byte
			if err := rows.Scan(&key, &value); err != nil {
				return err
			}
			var stored record.Limit
			if len(value) == 0 { // a place, see migrations
				continue
			}
			if err := b.s.sealer.Open(&record.Limits, key, value, &stored); err != nil {
				return err
			}
			found[[32]byte(key)] = stored.State(b.s.fromDatabase(expiryOf(value)))
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if n < len(all) {
			return errAgain
		}
		return nil
	})
	return found
}

// inOrder returns the keys of a spend in the order in which they are locked: those
// that many sign-ins share come last, to be locked for the shortest time.
func (s *Store) inOrder(keys []limit.Key) [][32]byte {
	type place struct {
		shared int
		key    [32]byte
	}
	places := make([]place, len(keys))
	for i, key := range keys {
		places[i].key = s.sealer.LimitKey(key)
		switch key.Kind {
		case limit.Client, limit.SilentClient:
			places[i].shared = 1
		case limit.Deployment, limit.SilentDeployment:
			places[i].shared = 2
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.shared != b.shared {
			return a.shared - b.shared
		}
		return bytes.Compare(a.key[:], b.key[:])
	})
	sorted := make([][32]byte, len(places))
	for i, p := range places {
		sorted[i] = p.key
	}
	return sorted
}

// spend takes the lock and charges the budgets, or returns what refuses it (invariant
// 7). A refused spend has paid for the try.
func (t *txn) spend(stored map[[32]byte]limit.State, spend limit.Spend, by limit.Holder, now time.Time) (*limit.Exceeded, error) {
	decided, err := limit.Decide(t.s.statesOf(stored, spend), spend, by, now)
	refused, isRefused := errors.AsType[*limit.Exceeded](err)
	if err != nil && !isRefused {
		return nil, err
	}
	var keys, values [][]byte
	var expiries []time.Time
	later := []limit.Key{spend.Lock, spend.Block, spend.Cooling.Key} // which the attempt's end changes
	for _, paid := range spend.Returned() {
		later = append(later, paid.Key)
	}
	for key, state := range decided {
		hidden := t.s.sealer.LimitKey(key)
		if t.absent(&record.Limits, hidden[:]) { // there is no row to update: who reads makes a place
			return nil, errGuess
		}
		value := t.sealLimit(hidden, state)
		keys, values, expiries = append(keys, hidden[:]), append(values, value), append(expiries, expiryOf(value))
		if slices.Contains(later, key) {
			t.learn(&record.Limits, hidden[:], value)
		}
	}
	if len(keys) > 0 {
		t.put(`UPDATE limits SET value = new.value, expires = new.expires
			FROM unnest($1::bytea[], $2::bytea[], $3::timestamptz[]) AS new (key, value, expires) WHERE limits.key = new.key`,
			keys, values, expiries)
	}
	return refused, nil
}

// statesOf returns the states of a spend among those that are stored.
func (s *Store) statesOf(stored map[[32]byte]limit.State, spend limit.Spend) limit.States {
	states := limit.States{}
	for _, key := range spend.Keys() {
		states[key] = stored[s.sealer.LimitKey(key)]
	}
	return states
}

func (t *txn) sealLimit(key [32]byte, state limit.State) []byte {
	stored := record.LimitOf(state)
	return t.s.sealer.Seal(&record.Limits, key[:], state.Until, &stored)
}

// changeLimit queues what becomes of a lock or a cool-down, whose row is locked; a zero
// Until deletes it.
func (t *txn) changeLimit(stored map[[32]byte]limit.State, key [32]byte, after limit.State) {
	switch {
	case after == stored[key]:
	case after.Until.IsZero():
		t.put("DELETE FROM limits WHERE key = $1", key[:])
		t.learn(&record.Limits, key[:], nil)
	default:
		value := t.sealLimit(key, after)
		if t.absent(&record.Limits, key[:]) {
			t.put(insertLimit, key[:], value, expiryOf(value))
		} else {
			t.put("UPDATE limits SET value = $2, expires = $3 WHERE key = $1", key[:], value, expiryOf(value))
		}
		t.learn(&record.Limits, key[:], value)
	}
}

// settleLimits queues what the effects of a step change of the attempt's locks, of
// its cool-down, and of the budgets that it gets something back from.
func (t *txn) settleLimits(stored record.Attempt, after login.Attempt, e login.Effects, back []record.Paid) error {
	release, changes := e.Release(after.Holder())
	cools := stored.Cooling != [32]byte{} && e.Push.How != limit.Unanswered
	if !changes && !cools && len(back) == 0 {
		return nil
	}
	states := t.expected
	if states == nil || !slices.Equal(locksOf(stored), t.expectedFor) {
		states = t.lockLocks(stored)
		if err := t.look(); err != nil {
			return err
		}
	}
	if changes {
		t.releaseBoth(states, stored, release)
	}
	for _, paid := range back {
		t.changeLimit(states, paid.Key, e.Push.GiveBack(states[paid.Key], paid.Each))
	}
	if cools {
		t.changeLimit(states, stored.Cooling, e.Push.After(states[stored.Cooling], after.Holder()))
	}
	return nil
}

// releaseBoth releases the locks of an attempt, or keeps them for longer.
func (t *txn) releaseBoth(states map[[32]byte]limit.State, stored record.Attempt, r limit.Release) {
	after, now := r.After, t.s.fromDatabase(t.at)
	if stored.Block != [32]byte{} {
		t.changeLimit(states, stored.Block, after(states[stored.Block], now))
		after = r.AfterInLane
	}
	if stored.Lock != [32]byte{} {
		t.changeLimit(states, stored.Lock, after(states[stored.Lock], now))
	}
}

// locksOf returns the keys in limits that the end of an attempt changes.
func locksOf(a record.Attempt) [][32]byte {
	keys := make([][32]byte, 0, 3+len(a.Paid))
	for _, key := range [...][32]byte{a.Block, a.Lock, a.Cooling} {
		if key != ([32]byte{}) {
			keys = append(keys, key)
		}
	}
	for _, p := range a.Paid {
		keys = append(keys, p.Key)
	}
	return keys
}

// expectLocks locks the locks, the cool-down and the budgets of an attempt, which its
// change probably settles.
func (t *txn) expectLocks(likely record.Attempt) {
	t.expected, t.expectedFor = t.lockLocks(likely), locksOf(likely)
}

// lockLocks queues what locks the rows of locksOf.
func (t *txn) lockLocks(a record.Attempt) map[[32]byte]limit.State {
	held := locksOf(a)
	slices.SortFunc(held, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return t.lockLimits(held)
}

// Spend implements client.Registrations.
func (s *Store) Spend(ctx context.Context, spend limit.Spend, now time.Time) error {
	return s.write(ctx, func(t *txn) error {
		states := t.lockLimits(s.inOrder(spend.Keys()))
		if err := t.look(); err != nil {
			return err
		}
		return t.spendOrRefuse(states, spend, now)
	})
}

// spendOrRefuse is spend, with an error for what refuses it.
func (t *txn) spendOrRefuse(states map[[32]byte]limit.State, spend limit.Spend, now time.Time) error {
	refused, err := t.spend(states, spend, limit.Holder{}, now)
	if err == nil && refused != nil {
		return refused
	}
	return err
}
