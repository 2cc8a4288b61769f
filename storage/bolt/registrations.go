// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/redact"
	"calleridp/storage/record"
)

var _ client.Registrations = (*Store)(nil)

// RegisterClient implements client.Registrations.
func (s *Store) RegisterClient(ctx context.Context, c client.Client, terms client.Terms, now time.Time) error {
	return s.write(ctx, func(t *txn) error {
		if t.has(&clients, []byte(c.ID)) {
			return client.ErrExists
		}
		var token client.InitialToken
		if terms.Token != nil {
			var err error
			if token, err = t.initialToken(*terms.Token); err != nil {
				return err
			}
		}
		registered := 0
		err := t.tx.Bucket(clients.id).ForEach(func(key, value []byte) error {
			var known client.Client
			err := t.open(&clients, key, value, (*record.Client)(&known))
			if known.Registration != nil {
				registered++
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := t.spendOrRefuse(terms.Spend, now); err != nil {
			return err
		}
		if registered >= terms.Most {
			return client.ErrFull
		}
		if terms.Token != nil {
			if err := t.useInitialToken(token); err != nil {
				return err
			}
		}
		return t.putClient(c)
	})
}

// DeleteClientIf implements client.Registrations.
func (s *Store) DeleteClientIf(ctx context.Context, id string, check func(client.Client) error) error {
	return s.write(ctx, func(t *txn) error {
		c, err := t.client(id)
		if err != nil {
			return err
		}
		if err := check(c); err != nil {
			return err
		}
		return t.del(&clients, []byte(id))
	})
}

// CreateInitialToken implements client.Registrations.
func (s *Store) CreateInitialToken(ctx context.Context, token client.InitialToken) error {
	return s.write(ctx, func(t *txn) error { return t.putInitialToken(token) })
}

// InitialToken implements client.Registrations.
func (s *Store) InitialToken(ctx context.Context, hash redact.Hash) (client.InitialToken, error) {
	return view(ctx, s, func(r reader) (client.InitialToken, error) { return r.initialToken(hash) })
}

// InitialTokens implements client.Registrations.
func (s *Store) InitialTokens(ctx context.Context) ([]client.InitialToken, error) {
	return view(ctx, s, func(r reader) (all []client.InitialToken, err error) {
		err = r.tx.Bucket(initialTokens.id).ForEach(func(key, value []byte) error {
			if !r.alive(value) {
				return nil
			}
			var t client.InitialToken
			if err := r.open(&initialTokens, key, value, (*record.InitialToken)(&t)); err != nil {
				return err
			}
			all = append(all, t)
			return nil
		})
		return all, err
	})
}

// DeleteInitialToken implements client.Registrations.
func (s *Store) DeleteInitialToken(ctx context.Context, hash redact.Hash) error {
	return s.write(ctx, func(t *txn) error {
		if !t.has(&initialTokens, hash[:]) {
			return client.ErrInitialToken
		}
		return t.del(&initialTokens, hash[:])
	})
}

// useInitialToken takes one of the registrations that a token permits.
func (t *txn) useInitialToken(token client.InitialToken) error {
	if token.Left <= 1 {
		return t.del(&initialTokens, token.Hash[:])
	}
	token.Left--
	return t.putInitialToken(token)
}

func (r reader) initialToken(hash redact.Hash) (token client.InitialToken, err error) {
	err = r.find(&initialTokens, hash[:], (*record.InitialToken)(&token), client.ErrInitialToken)
	return token, err
}

func (t *txn) putInitialToken(token client.InitialToken) error {
	return t.put(&initialTokens, token.Hash[:], token.Expires, (*record.InitialToken)(&token))
}
