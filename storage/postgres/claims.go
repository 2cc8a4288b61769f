package postgres

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// deliveryTaken is how long a delivery belongs to a process that does not say that it
	// still works on it; it says so every deliveryHeld. It is longer than an operation
	// tries to reach a database that has gone away (Options.RecoverFor), so that a process
	// that has fetched a profile still holds its delivery when the database is back. With the
	// two seconds between two looks of truecaller.Receiver, the deliveries of a process
	// that was killed are taken within ten.
	deliveryTaken = 7 * time.Second
	deliveryHeld  = time.Second
)

// claims are what this process holds of the inbox. They have a connection of their own:
// a process that is busy must not lose what it works on.
type claims struct {
	pool *pgxpool.Pool
	some atomic.Bool // deliveries, perhaps
}

// openClaims makes the pool of the one connection. It connects when it is needed.
func (s *Store) openClaims(ctx context.Context) error {
	config, err := s.options.pool()
	if err != nil {
		return err
	}
	config.MaxConns, config.MinConns = 1, 0
	s.claims.pool, err = pgxpool.NewWithConfig(ctx, config)
	return err
}

// holds makes holdDeliveries say so. It is called when a delivery is stored, not before,
// because who finds none does not look again.
func (c *claims) holds() { c.some.Store(true) }

// holdDeliveries says that this process still works on the deliveries that it has
// taken, as long as it runs.
func (s *Store) holdDeliveries() {
	failing := false
	s.every(deliveryHeld, func() {
		if !s.claims.some.Swap(false) {
			return // and ask the database nothing
		}
		held, err := s.holdAll()
		if held || err != nil {
			s.claims.holds()
		}
		if err != nil && !failing {
			s.log.Warn("the deliveries that this process works on cannot be held; another one may take them", "error", err)
		}
		failing = err != nil
	})
}

// holdAll holds the deliveries of this process for longer. One whose row is locked does
// not keep the others waiting: it is being taken, dropped or settled, or is held the next
// time.
func (s *Store) holdAll() (held bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), deliveryTaken/2)
	defer cancel()
	b := &batch{s: s}
	b.notDurable()
	b.run(`WITH held AS (SELECT key FROM deliveries WHERE node = $1 FOR UPDATE SKIP LOCKED)
		UPDATE deliveries SET until = clock_timestamp() + $2::interval FROM held WHERE deliveries.key = held.key`, s.node, deliveryTaken)
	b.queue.Queue("SELECT EXISTS (SELECT FROM deliveries WHERE node = $1)", s.node).QueryRow(func(row pgx.Row) error { return row.Scan(&held) })
	s.trips.Add(1)
	return held, s.claims.pool.SendBatch(ctx, &b.queue).Close()
}

// leaveDeliveries lets another process take the deliveries of this one at once.
func (s *Store) leaveDeliveries(ctx context.Context) error {
	return s.once(ctx, "UPDATE deliveries SET node = '', until = '-infinity' WHERE node = $1", s.node)
}

// notDurable queues what makes the commit of the batch not wait for the disk: nothing of
// it is missed after a crash of the database.
func (b *batch) notDurable() { b.run("SELECT set_config('synchronous_commit', 'off', true)") }
