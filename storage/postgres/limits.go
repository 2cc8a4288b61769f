package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"calleridp/provider/limit"
	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
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
	hidden := make([][]byte, len(keys))
	for i, key := range keys {
		k := s.sealer.LimitKey(key)
		hidden[i] = k[:]
	}
	return s.write(ctx, func(t *txn) error {
		slices.SortFunc(hidden, bytes.Compare)
		t.run("SELECT FROM limits WHERE key = ANY($1) ORDER BY key FOR UPDATE", hidden)
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

// lockLimits queues what locks rows in limits, in this order, and makes places for
// those that are missing.
func (b *batch) lockLimits(keys [][32]byte) map[[32]byte]limit.State {
	if len(keys) == 0 {
		return nil
	}
	all := make([][]byte, len(keys))
	for i := range keys {
		all[i] = keys[i][:]
	}
	b.run(`INSERT INTO limits (key, value, expires, due)
		SELECT key, '', now(), now() + $2::interval FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key, n) ORDER BY n
		ON CONFLICT DO NOTHING`, all, placeKept)
	b.all(len(all), `SELECT FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key, n) JOIN limits l USING (key)
		ORDER BY n FOR UPDATE OF l`, all)
	return b.limits(keys)
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
	states := limit.States{}
	for _, key := range spend.Keys() {
		states[key] = stored[t.s.sealer.LimitKey(key)]
	}
	decided, err := limit.Decide(states, spend, by, now)
	refused, isRefused := errors.AsType[*limit.Exceeded](err)
	if err != nil && !isRefused {
		return nil, err
	}
	var keys, values [][]byte
	var expiries []time.Time
	for key, state := range decided {
		hidden := t.s.sealer.LimitKey(key)
		value := t.sealLimit(hidden, state)
		keys, values, expiries = append(keys, hidden[:]), append(values, value), append(expiries, expiryOf(value))
	}
	if len(keys) > 0 {
		t.put(`UPDATE limits SET value = new.value, expires = new.expires
			FROM unnest($1::bytea[], $2::bytea[], $3::timestamptz[]) AS new (key, value, expires) WHERE limits.key = new.key`,
			keys, values, expiries)
	}
	return refused, nil
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
	default:
		value := t.sealLimit(key, after)
		t.put("UPDATE limits SET value = $2, expires = $3 WHERE key = $1", key[:], value, expiryOf(value))
	}
}
