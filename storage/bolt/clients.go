package bolt

import (
	"context"

	"calleridp/provider/client"
	"calleridp/storage/record"
)

var _ client.Store = (*Store)(nil)

// Client implements client.Store.
func (s *Store) Client(ctx context.Context, id string) (client.Client, error) {
	var found client.Client
	err := s.read(ctx, func(r reader) (err error) {
		found, err = r.client(id)
		return err
	})
	return found, err
}

// Clients implements client.Store.
func (s *Store) Clients(ctx context.Context) (all []client.Client, err error) {
	err = s.read(ctx, func(r reader) error {
		return r.tx.Bucket(clients.id).ForEach(func(key, value []byte) error {
			var c client.Client
			if err := r.open(&clients, key, value, (*record.Client)(&c)); err != nil {
				return err
			}
			all = append(all, c)
			return nil
		})
	})
	return all, err
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

func (r reader) client(id string) (client.Client, error) {
	var c client.Client
	found, err := r.get(&clients, []byte(id), (*record.Client)(&c))
	switch {
	case err != nil:
		return client.Client{}, err
	case !found:
		return client.Client{}, client.ErrNotFound
	}
	return c, nil
}

func (t *txn) putClient(c client.Client) error {
	return t.put(&clients, []byte(c.ID), never, (*record.Client)(&c))
}
