// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"errors"
	"time"

	"calleridp/provider/grant"
	"calleridp/storage/record"
)

// sweepMax is how many entries of the expiry index one transaction handles, so
// that no sign-in waits long for it.
const sweepMax = 200

// Run deletes expired records every Options.SweepEvery, in small batches, until
// ctx is done. It does not write to a store without expired records, unless the
// last commit failed: see Healthy.
func (s *Store) Run(ctx context.Context) {
	ticker := time.NewTicker(s.options.SweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.tryAgain(ctx)
		for more := true; more; {
			n, err := s.sweep(ctx)
			switch {
			case errors.Is(err, ErrClosed) || ctx.Err() != nil:
				return
			case err != nil: // the next tick tries again
				s.log.Error("the sweep of expired records failed", "error", err)
			}
			more = err == nil && n == sweepMax
		}
	}
}

// sweep handles up to sweepMax entries that are due, and returns how many.
func (s *Store) sweep(ctx context.Context) (n int, err error) {
	due := false
	err = s.read(ctx, func(r reader) error {
		due = len(r.due(1)) > 0
		return nil
	})
	if err != nil || !due {
		return 0, err
	}
	err = s.await(ctx, &op{done: make(chan struct{}), run: func(t *txn) error {
		entries := t.due(sweepMax)
		n = len(entries)
		for _, e := range entries {
			if err := t.expire(e); err != nil {
				return err
			}
		}
		return nil
	}})
	return n, err
}

// dueEntry is an entry of the expiry index that is due.
type dueEntry struct {
	of     *bucket
	expiry int64
	key    []byte
}

// due returns up to most entries that are due. The result stays valid while the
// transaction writes.
func (r reader) due(most int) (entries []dueEntry) {
	for _, b := range buckets {
		if b.mark == 0 {
			continue
		}
		for at, key := range r.expiring(b) {
			if at > r.now.UnixNano() || len(entries) == most {
				break
			}
			entries = append(entries, dueEntry{of: b, expiry: at, key: bytes.Clone(key)})
		}
	}
	return entries
}

// expire deletes the record of an entry, if it has expired. If the record was
// renewed, its entry moves to the new expiry.
func (t *txn) expire(e dueEntry) error {
	t.writes++
	if err := t.tx.Bucket(expiry.id).Delete(expiryKey(e.of, e.expiry, e.key)); err != nil {
		return err
	}
	value := t.tx.Bucket(e.of.id).Get(e.key)
	switch {
	case value == nil:
		return nil
	case t.alive(value):
		return t.mark(&expiry, expiryKey(e.of, record.Expiry(value), e.key))
	}
	return t.forget(e.of, e.key)
}

// forget deletes a record and the entries that lead to it. It also deletes a
// record that cannot be read, without its entries.
func (t *txn) forget(b *bucket, key []byte) error {
	value := t.tx.Bucket(b.id).Get(key)
	if value == nil {
		return nil
	}
	err := t.forgetIndexes(b, key, value)
	if errors.Is(err, record.ErrUnreadable) {
		t.s.log.Error("deleting a record that cannot be read", "bucket", string(b.id), "error", err)
	} else if err != nil {
		return err
	}
	return t.del(b, key)
}

// forgetIndexes deletes the entries that lead to a record about to be deleted.
func (t *txn) forgetIndexes(b *bucket, key, value []byte) error {
	switch b {
	case &attempts:
		var a record.Attempt
		if err := t.open(b, key, value, &a); err != nil {
			return err
		}
		return t.forgetAttempt(a.Attempt)
	case &sessions:
		var s record.Session
		if err := t.open(b, key, value, &s); err != nil {
			return err
		}
		if err := t.del(&personIndex, ownerKey(s.Sub, b, key)); err != nil {
			return err
		}
		return t.del(&sessionIDs, []byte(s.ID))
	case &codes:
		var c record.Code
		if err := t.open(b, key, value, &c); err != nil {
			return err
		}
		return t.disown(c.Grant, b, key)
	case &grants:
		var g record.Grant
		if err := t.open(b, key, value, &g); err != nil {
			return err
		}
		return t.disown(grant.Grant(g), b, key)
	}
	return nil
}
