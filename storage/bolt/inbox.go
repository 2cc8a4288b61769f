// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"

	"calleridp/storage/record"
	"calleridp/truecaller"
)

var _ truecaller.Inbox = (*Store)(nil)

// PutDelivery implements truecaller.Inbox. It keeps the first of several deliveries
// with the same ID, if that can be read. Only this process has the file: it holds all of
// them.
func (s *Store) PutDelivery(ctx context.Context, d truecaller.Delivery) (held bool, err error) {
	err = s.write(ctx, func(t *txn) error {
		var first record.Delivery
		if found, err := t.get(&deliveries, []byte(d.ID), &first); found && err == nil {
			return nil
		}
		if err := t.del(&deliveries, []byte(d.ID)); err != nil { // one that has expired and was not swept yet
			return err
		}
		return t.put(&deliveries, []byte(d.ID), d.Received.Add(record.DeliveryKept), (*record.Delivery)(&d))
	})
	return err == nil, err
}

// HoldDelivery implements truecaller.Inbox.
func (s *Store) HoldDelivery(ctx context.Context, id string) (held bool, err error) {
	dropped := s.queue.of(dropNotes(id))
	err = s.read(ctx, func(r reader) error {
		held = r.has(&deliveries, []byte(id)) && (len(dropped) == 0 || !r.missing(dropped[len(dropped)-1]))
		return nil
	})
	return held, err
}

// Deliveries implements truecaller.Inbox.
func (s *Store) Deliveries(ctx context.Context, max int) (found []truecaller.Delivery, err error) {
	dropped := s.queue.all()
	err = s.read(ctx, func(r reader) error {
		// All of them expire an hour after they were received, so the expiry index
		// has them in the order in which they were received.
		inbox := r.tx.Bucket(deliveries.id)
		seen := map[string]bool{} // one that took a damaged one's place may have two entries
		for _, key := range r.expiring(&deliveries) {
			if len(found) >= max {
				break
			}
			value := inbox.Get(key)
			if value == nil || !r.alive(value) || seen[string(key)] {
				continue
			}
			seen[string(key)] = true
			if o := dropped[dropNotes(string(key))]; len(o) > 0 && r.missing(o[len(o)-1]) {
				continue
			}
			var d truecaller.Delivery
			if err := r.open(&deliveries, key, value, (*record.Delivery)(&d)); err != nil {
				s.damage.Tell(s.log, &record.Deliveries, key, "the inbox goes on without it, and Truecaller may send it again", err)
				continue
			}
			found = append(found, d)
		}
		return nil
	})
	return found, err
}

// DropDelivery implements truecaller.Inbox. It does not wait for the disk.
func (s *Store) DropDelivery(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.queue.add(&op{key: dropNotes(id), run: func(t *txn) error { return t.del(&deliveries, []byte(id)) }})
}

// InboxSize returns how many deliveries are stored, including those that were
// dropped and not committed yet.
func (s *Store) InboxSize(ctx context.Context) (n int, err error) {
	err = s.read(ctx, func(r reader) error {
		n = r.tx.Bucket(deliveries.id).Stats().KeyN
		return nil
	})
	return n, err
}

func dropNotes(id string) string { return "delivery " + id }
