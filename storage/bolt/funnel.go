// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"time"

	"calleridp/provider/funnel"
	"calleridp/storage/record"
)

var _ funnel.Store = (*Store)(nil)

// AddFunnel implements funnel.Store.
func (s *Store) AddFunnel(ctx context.Context, add []funnel.Period) error {
	return s.write(ctx, func(t *txn) error {
		for _, p := range add {
			var known record.Tally
			if _, err := t.get(&funnels, p.Key(), &known); err != nil {
				return err
			}
			sum := record.Tally(funnel.Tally(known).Plus(p.Tally))
			if err := t.put(&funnels, p.Key(), p.Kept(), &sum); err != nil {
				return err
			}
		}
		return nil
	})
}

// Funnel implements funnel.Store.
func (s *Store) Funnel(ctx context.Context, unit funnel.Unit, from, to time.Time) ([]funnel.Period, error) {
	return view(ctx, s, func(r reader) ([]funnel.Period, error) {
		var all []funnel.Period
		end := funnel.Period{Unit: unit, Start: to}.Key()
		cursor := r.tx.Bucket(funnels.id).Cursor()
		for key, value := cursor.Seek(funnel.Period{Unit: unit, Start: from}.Key()); key != nil && bytes.Compare(key, end) < 0; key, value = cursor.Next() {
			if !r.alive(value) {
				continue
			}
			p, err := funnel.ParseKey(key)
			if err != nil {
				return nil, err
			}
			if err := r.open(&funnels, key, value, (*record.Tally)(&p.Tally)); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
		return all, nil
	})
}
