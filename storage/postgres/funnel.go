// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"calleridp/provider/funnel"
	"calleridp/storage/record"
)

var _ funnel.Store = (*Store)(nil)

// AddFunnel implements funnel.Store. All servers add to the same rows, once a minute.
func (s *Store) AddFunnel(ctx context.Context, add []funnel.Period) error {
	add = slices.SortedFunc(slices.Values(add), func(a, b funnel.Period) int { return bytes.Compare(a.Key(), b.Key()) })
	return s.write(ctx, func(t *txn) error {
		known := make([]record.Tally, len(add))
		for i, p := range add {
			t.run(`INSERT INTO funnel (key, value, expires, due) VALUES ($1, '', now(), now() + $2::interval)
				ON CONFLICT DO NOTHING`, p.Key(), placeKept)
			t.one(&record.Funnel, &known[i], "SELECT key, value FROM funnel WHERE key = $1 FOR UPDATE", p.Key())
		}
		if err := t.look(); err != nil {
			return err
		}
		for i, p := range add {
			sum := record.Tally(funnel.Tally(known[i]).Plus(p.Tally))
			value := s.sealer.Seal(&record.Funnel, p.Key(), p.Kept(), &sum)
			t.put("UPDATE funnel SET value = $2, expires = $3, due = $3 WHERE key = $1", p.Key(), value, expiryOf(value))
		}
		return nil
	})
}

// Funnel implements funnel.Store.
func (s *Store) Funnel(ctx context.Context, unit funnel.Unit, from, to time.Time) ([]funnel.Period, error) {
	first, end := funnel.Period{Unit: unit, Start: from}.Key(), funnel.Period{Unit: unit, Start: to}.Key()
	return view(ctx, s, func(b *batch) func() ([]funnel.Period, error) {
		var all []funnel.Period
		b.each("SELECT key, value FROM funnel WHERE key >= $1 AND key < $2 ORDER BY key", []any{first, end}, func(key, value []byte) error {
			p, err := funnel.ParseKey(key)
			if err != nil {
				return err
			}
			err = b.s.sealer.Open(&record.Funnel, key, value, (*record.Tally)(&p.Tally))
			all = append(all, p)
			return err
		})
		return func() ([]funnel.Period, error) { return all, nil }
	})
}
