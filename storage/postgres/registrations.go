// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/redact"
	"calleridp/storage/record"
)

var _ client.Registrations = (*Store)(nil)

// RegisterClient implements client.Registrations. The lock of the budget makes one wait for
// the other, and each registration writes to it: so no two see the same number of clients,
// whatever the isolation is.
func (s *Store) RegisterClient(ctx context.Context, c client.Client, terms client.Terms, now time.Time) error {
	return s.write(ctx, func(t *txn) error {
		var token client.InitialToken
		permitted := new(bool)
		if terms.Token != nil {
			permitted = t.initialToken(&token, *terms.Token, " FOR UPDATE")
		}
		states := t.lockLimits(s.inOrder(terms.Spend.Keys()))
		registered, exists := 0, false
		t.each("SELECT key, value FROM clients", nil, func(key, value []byte) error {
			var known client.Client
			err := t.s.sealer.Open(&record.Clients, key, value, (*record.Client)(&known))
			if known.Registration != nil {
				registered++
			}
			exists = exists || string(key) == c.ID
			return err
		})
		if err := t.look(); err != nil {
			return err
		}
		switch {
		case exists:
			return client.ErrExists
		case terms.Token != nil && !*permitted:
			return client.ErrInitialToken
		}
		if err := t.spendOrRefuse(states, terms.Spend, now); err != nil {
			return err
		}
		if registered >= terms.Most {
			return client.ErrFull
		}
		if terms.Token != nil {
			t.useInitialToken(token)
		}
		t.put("INSERT INTO clients (key, value) VALUES ($1, $2)", []byte(c.ID), t.sealClient(c))
		return nil
	})
}

// DeleteClientIf implements client.Registrations.
func (s *Store) DeleteClientIf(ctx context.Context, id string, check func(client.Client) error) error {
	return s.write(ctx, func(t *txn) error {
		c, err := t.lockedClient(id)
		if err != nil {
			return err
		}
		if err := check(c); err != nil {
			return err
		}
		t.put("DELETE FROM clients WHERE key = $1", []byte(id))
		return nil
	})
}

// CreateInitialToken implements client.Registrations.
func (s *Store) CreateInitialToken(ctx context.Context, token client.InitialToken) error {
	value := s.sealInitialToken(token)
	return s.write(ctx, func(t *txn) error {
		t.put("INSERT INTO initial_tokens (key, value, expires, due) VALUES ($1, $2, $3, $3)", token.Hash[:], value, expiryOf(value))
		return nil
	})
}

// InitialToken implements client.Registrations.
func (s *Store) InitialToken(ctx context.Context, hash redact.Hash) (client.InitialToken, error) {
	return view(ctx, s, func(b *batch) func() (client.InitialToken, error) {
		var token client.InitialToken
		found := b.initialToken(&token, hash, "")
		return func() (client.InitialToken, error) {
			if !*found {
				return client.InitialToken{}, client.ErrInitialToken
			}
			return token, nil
		}
	})
}

// InitialTokens implements client.Registrations.
func (s *Store) InitialTokens(ctx context.Context) ([]client.InitialToken, error) {
	return view(ctx, s, func(b *batch) func() ([]client.InitialToken, error) {
		var all []client.InitialToken
		b.each("SELECT key, value FROM initial_tokens", nil, func(key, value []byte) error {
			var token client.InitialToken
			err := b.s.sealer.Open(&record.InitialTokens, key, value, (*record.InitialToken)(&token))
			all = append(all, token)
			return err
		})
		return func() ([]client.InitialToken, error) { return all, nil }
	})
}

// DeleteInitialToken implements client.Registrations.
func (s *Store) DeleteInitialToken(ctx context.Context, hash redact.Hash) error {
	return s.write(ctx, func(t *txn) error {
		var token client.InitialToken
		found := t.initialToken(&token, hash, " FOR UPDATE")
		if err := t.look(); err != nil {
			return err
		}
		if !*found {
			return client.ErrInitialToken
		}
		t.put("DELETE FROM initial_tokens WHERE key = $1", hash[:])
		return nil
	})
}

// initialToken queues a query for a token that has not expired.
func (b *batch) initialToken(token *client.InitialToken, hash redact.Hash, lock string) (found *bool) {
	return b.one(&record.InitialTokens, (*record.InitialToken)(token), "SELECT key, value FROM initial_tokens WHERE key = $1"+lock, hash[:])
}

// useInitialToken takes one of the registrations that a token permits, whose row is locked.
func (t *txn) useInitialToken(token client.InitialToken) {
	if token.Left <= 1 {
		t.put("DELETE FROM initial_tokens WHERE key = $1", token.Hash[:])
		return
	}
	token.Left--
	t.put("UPDATE initial_tokens SET value = $2 WHERE key = $1", token.Hash[:], t.s.sealInitialToken(token))
}

func (s *Store) sealInitialToken(token client.InitialToken) []byte {
	return s.sealer.Seal(&record.InitialTokens, token.Hash[:], token.Expires, (*record.InitialToken)(&token))
}
