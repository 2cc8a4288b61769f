// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"maps"
	"sync"
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
	// deliveryFresh is how long the first to ask whether this process holds a delivery is
	// told so without asking the database: no other process takes it by then.
	deliveryFresh = deliveryTaken / 2
)

// claims are what this process holds of the inbox. They have a connection of their own:
// a process that is busy must not lose what it works on.
type claims struct {
	pool *pgxpool.Pool
	some atomic.Bool // deliveries, perhaps

	mu   sync.Mutex
	took map[string]time.Time // what was stored within deliveryFresh, and since when it is held
}

// take notes that this process holds a delivery since a moment.
func (c *claims) take(id string, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.took == nil {
		c.took = map[string]time.Time{}
	}
	c.took[id] = since
}

// lose notes that this process holds a delivery no more, or perhaps not.
func (c *claims) lose(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.took, id)
}

// justTook reports, once, whether a delivery was stored within deliveryFresh.
func (c *claims) justTook(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, took := c.took[id]
	delete(c.took, id)
	return took && time.Since(since) < deliveryFresh
}

// forgetOld forgets what justTook is not asked for.
func (c *claims) forgetOld() {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.took, func(_ string, since time.Time) bool { return time.Since(since) >= deliveryFresh })
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
		s.claims.forgetOld()
		if !s.claims.some.Swap(false) {
			return // and ask the database nothing
		}
		held, err := s.holdAll()
		if held || err != nil {
			s.claims.holds()
		}
		if err != nil && !failing {
			s.log.Warn("deliveries in progress cannot be renewed; another server may take them", "error", err)
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
