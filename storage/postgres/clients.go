// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"calleridp/provider/client"
	"calleridp/storage/record"
)

var _ client.Store = (*Store)(nil)

// Client implements client.Store.
func (s *Store) Client(ctx context.Context, id string) (client.Client, error) {
	return view(ctx, s, func(b *batch) func() (client.Client, error) {
		var c client.Client
		found := b.client(&c, id, "")
		return func() (client.Client, error) {
			if !*found {
				return client.Client{}, client.ErrNotFound
			}
			return c, nil
		}
	})
}

// Clients implements client.Store.
func (s *Store) Clients(ctx context.Context) ([]client.Client, error) {
	return view(ctx, s, func(b *batch) func() ([]client.Client, error) {
		var all []client.Client
		b.each("SELECT key, value FROM clients ORDER BY key", nil, func(key, value []byte) error {
			var c client.Client
			err := b.s.sealer.Open(&record.Clients, key, value, (*record.Client)(&c))
			all = append(all, c)
			return err
		})
		return func() ([]client.Client, error) { return all, nil }
	})
}

// CreateClient implements client.Store.
func (s *Store) CreateClient(ctx context.Context, c client.Client) error {
	return s.write(ctx, func(t *txn) error {
		exists := t.some("SELECT FROM clients WHERE key = $1", []byte(c.ID))
		if err := t.look(); err != nil {
			return err
		}
		if *exists {
			return client.ErrExists
		}
		t.put("INSERT INTO clients (key, value) VALUES ($1, $2)", []byte(c.ID), t.sealClient(c))
		return nil
	})
}

// UpdateClient implements client.Store. The ID of a client never changes.
func (s *Store) UpdateClient(ctx context.Context, id string, change func(*client.Client) error) error {
	return s.write(ctx, func(t *txn) error {
		c, err := t.lockedClient(id)
		if err != nil {
			return err
		}
		if err := change(&c); err != nil {
			return err
		}
		c.ID = id
		t.put("UPDATE clients SET value = $2 WHERE key = $1", []byte(id), t.sealClient(c))
		return nil
	})
}

// DeleteClient implements client.Store.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.write(ctx, func(t *txn) error {
		found := t.some("SELECT FROM clients WHERE key = $1 FOR UPDATE", []byte(id))
		if err := t.look(); err != nil {
			return err
		}
		if !*found {
			return client.ErrNotFound
		}
		t.put("DELETE FROM clients WHERE key = $1", []byte(id))
		return nil
	})
}

// client queues a query for a client.
func (b *batch) client(c *client.Client, id, lock string) (found *bool) {
	return b.one(&record.Clients, (*record.Client)(c), "SELECT key, value FROM clients WHERE key = $1"+lock, []byte(id))
}

// lockedClient returns a client and locks its row, or returns client.ErrNotFound.
func (t *txn) lockedClient(id string) (c client.Client, err error) {
	found := t.client(&c, id, " FOR UPDATE")
	if err := t.look(); err != nil {
		return client.Client{}, err
	}
	if !*found {
		return client.Client{}, client.ErrNotFound
	}
	return c, nil
}

func (t *txn) sealClient(c client.Client) []byte {
	return t.s.sealer.Seal(&record.Clients, []byte(c.ID), never, (*record.Client)(&c))
}
