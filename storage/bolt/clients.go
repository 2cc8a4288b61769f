// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"

	"calleridp/provider/client"
	"calleridp/storage/record"
)

var _ client.Store = (*Store)(nil)

// Client implements client.Store.
func (s *Store) Client(ctx context.Context, id string) (client.Client, error) {
	return view(ctx, s, func(r reader) (client.Client, error) { return r.client(id) })
}

// Clients implements client.Store.
func (s *Store) Clients(ctx context.Context) ([]client.Client, error) {
	return view(ctx, s, func(r reader) (all []client.Client, err error) {
		err = r.tx.Bucket(clients.id).ForEach(func(key, value []byte) error {
			var c client.Client
			if err := r.open(&clients, key, value, (*record.Client)(&c)); err != nil {
				return err
			}
			all = append(all, c)
			return nil
		})
		return all, err
	})
}

// CreateClient implements client.Store.
func (s *Store) CreateClient(ctx context.Context, c client.Client) error {
	return s.write(ctx, func(t *txn) error {
		if t.has(&clients, []byte(c.ID)) {
			return client.ErrExists
		}
		return t.putClient(c)
	})
}

// UpdateClient implements client.Store. The ID of a client never changes.
func (s *Store) UpdateClient(ctx context.Context, id string, change func(*client.Client) error) error {
	return s.write(ctx, func(t *txn) error {
		c, err := t.client(id)
		if err != nil {
			return err
		}
		if err := change(&c); err != nil {
			return err
		}
		c.ID = id
		return t.putClient(c)
	})
}

// DeleteClient implements client.Store.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.write(ctx, func(t *txn) error {
		if !t.has(&clients, []byte(id)) {
			return client.ErrNotFound
		}
		return t.del(&clients, []byte(id))
	})
}

// client returns the client with this ID, or client.ErrNotFound.
func (r reader) client(id string) (c client.Client, err error) {
	err = r.find(&clients, []byte(id), (*record.Client)(&c), client.ErrNotFound)
	return c, err
}

func (t *txn) putClient(c client.Client) error {
	return t.put(&clients, []byte(c.ID), never, (*record.Client)(&c))
}
