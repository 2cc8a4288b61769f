package postgres

import (
	"context"
	"slices"
	"time"

	"calleridp/storage/record"
	"calleridp/truecaller"

	"github.com/jackc/pgx/v5"
)

var _ truecaller.Inbox = (*Store)(nil)

const (
	// deliveryTaken is how long a delivery belongs to a process that does not say that it
	// still works on it; it says so every deliveryHeld.
	deliveryTaken = 4 * time.Second
	deliveryHeld  = time.Second
)

// PutDelivery implements truecaller.Inbox. It keeps the first of several deliveries
// with the same ID. This process works on it.
func (s *Store) PutDelivery(ctx context.Context, d truecaller.Delivery) error {
	key := []byte(d.ID)
	value := s.sealer.Seal(&record.Deliveries, key, d.Received.Add(record.DeliveryKept), (*record.Delivery)(&d))
	s.holds.Store(true)
	return s.once(ctx, `INSERT INTO deliveries (key, value, node, until, expires, due) VALUES ($1, $2, $3, now() + $4::interval, $5, $5)
		ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, node = EXCLUDED.node, until = EXCLUDED.until, expires = EXCLUDED.expires, due = EXCLUDED.due
		WHERE deliveries.expires <= now()`, key, value, s.node, deliveryTaken, expiryOf(value))
}

// Deliveries implements truecaller.Inbox. It takes what no other process works on. All
// of them expire an hour after they were received, so they are due in the order in
// which they were received.
func (s *Store) Deliveries(ctx context.Context, max int) ([]truecaller.Delivery, error) {
	all, err := view(ctx, s, func(b *batch) func() ([]truecaller.Delivery, error) {
		var all []truecaller.Delivery
		b.each(`WITH free AS (
				SELECT key FROM deliveries WHERE due > now() AND (node = $1 OR until <= now())
				ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
			)
			UPDATE deliveries SET node = $1, until = now() + $3::interval FROM free WHERE deliveries.key = free.key
			RETURNING deliveries.key, deliveries.value`, []any{s.node, max, deliveryTaken}, func(key, value []byte) error {
			var d truecaller.Delivery
			err := b.s.sealer.Open(&record.Deliveries, key, value, (*record.Delivery)(&d))
			all = append(all, d)
			return err
		})
		return func() ([]truecaller.Delivery, error) { return all, nil }
	})
	if len(all) > 0 {
		s.holds.Store(true)
	}
	slices.SortFunc(all, func(a, b truecaller.Delivery) int { return a.Received.Compare(b.Received) })
	return all, err
}

// holdDeliveries says that this process still works on the deliveries that it has
// taken, as long as it runs.
func (s *Store) holdDeliveries() {
	ticker := time.NewTicker(deliveryHeld)
	defer ticker.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-ticker.C:
		}
		if !s.holds.Swap(false) {
			continue // and ask the database nothing
		}
		var held bool
		err := s.read(context.Background(), func(b *batch) {
			held = false
			b.each("UPDATE deliveries SET until = now() + $2::interval WHERE node = $1 RETURNING key, value", []any{s.node, deliveryTaken},
				func(_, _ []byte) error {
					held = true
					return nil
				})
		})
		if held || err != nil {
			s.holds.Store(true)
		}
	}
}

// leaveDeliveries lets another process take the deliveries of this one at once.
func (s *Store) leaveDeliveries(ctx context.Context) error {
	return s.once(ctx, "UPDATE deliveries SET until = '-infinity' WHERE node = $1", s.node)
}

// DropDelivery implements truecaller.Inbox.
func (s *Store) DropDelivery(ctx context.Context, id string) error {
	return s.once(ctx, "DELETE FROM deliveries WHERE key = $1", []byte(id))
}

// InboxSize returns how many deliveries are stored.
func (s *Store) InboxSize(ctx context.Context) (int, error) {
	return view(ctx, s, func(b *batch) func() (int, error) {
		var n int
		b.queue.Queue("SELECT count(*) FROM deliveries").QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		return func() (int, error) { return n, nil }
	})
}
