package bolt

import (
	"context"
	"time"

	"calleridp/provider/client"
)

var _ client.Store = (*Store)(nil)

type clientRecord client.Client

func (r *clientRecord) fields(c *codec) {
	text(c, &r.ID)
	text(c, &r.Name)
	text(c, &r.LogoURI)
	text(c, &r.URI)
	text(c, &r.TOSURI)
	text(c, &r.PolicyURI)
	text(c, &r.Colour)
	text(c, &r.ColourDark)
	list(c, &r.SecretHashes, (*codec).hash)
	c.flag(&r.Public)
	texts(c, &r.RedirectURIs)
	texts(c, &r.PostLogoutRedirectURIs)
	texts(c, &r.AllowedOrigins)
	texts(c, &r.Scopes)
	c.flag(&r.WithoutPKCE)
	text(c, &r.IDTokenAlg)
	c.flag(&r.Pairwise)
	text(c, &r.SectorHost)
	maxAge := r.DefaultMaxAge != nil
	if c.flag(&maxAge); maxAge {
		if r.DefaultMaxAge == nil {
			r.DefaultMaxAge = new(time.Duration)
		}
		c.int64((*int64)(r.DefaultMaxAge))
	}
	text(c, &r.Region)
	text(c, &r.TruecallerApp)
	c.time(&r.Created)
	c.flag(&r.FromConfig)
	text(c, &r.Consent)
	c.flag(&r.Native)
	texts(c, &r.Countries)
}

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
			var record clientRecord
			if _, err := r.open(&clients, key, value, record.fields); err != nil {
				return err
			}
			all = append(all, client.Client(record))
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
	var record clientRecord
	found, err := r.get(&clients, []byte(id), record.fields)
	switch {
	case err != nil:
		return client.Client{}, err
	case !found:
		return client.Client{}, client.ErrNotFound
	}
	return client.Client(record), nil
}

func (t *txn) putClient(c client.Client) error {
	record := clientRecord(c)
	return t.put(&clients, []byte(c.ID), never, record.fields)
}
