// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"

	"calleridp/keys"
)

// Edit replaces what operators decide about a stored client by what edit returns, which is
// called inside the transaction. The client keeps its ID and its secret, and with them its
// grants and its users' consents: what it may no longer have is decided at each use. If it
// now needs another kind of secret, the new one is returned. It takes effect at once on all
// servers, because each use reads the client.
//
// The error is ErrNotFound, ErrFromConfig, ErrOwn or ErrRegisteredItself, wraps FieldErrors if the
// client would be invalid or its users would get other subs, or is that of edit.
func (r *Registry) Edit(ctx context.Context, id string, edit func(known Client) (Client, error)) (edited Client, secret string, err error) {
	if err := r.CheckChange(id); err != nil {
		return Client{}, "", err
	}
	random := keys.RandomText(64)
	err = r.store.UpdateClient(ctx, id, func(known *Client) error {
		next, err := edit(*known)
		if err != nil {
			return err
		}
		next, secret = next.inPlaceOf(*known, random)
		if err := r.CheckEdit(*known, next); err != nil {
			return err
		}
		*known, edited = next, next
		return nil
	})
	if err != nil {
		return Client{}, "", err
	}
	r.forgetOrigins()
	return edited, secret, nil
}

// CheckEdit returns the error of Edit if next replaces known, without doing it.
func (r *Registry) CheckEdit(known, next Client) error {
	switch {
	case known.FromConfig:
		return ErrFromConfig
	case known.Registration != nil:
		return ErrRegisteredItself
	}
	next, _ = next.inPlaceOf(known, keys.RandomText(64))
	invalid := append(Validate(next), ValidateFor(next, r.here)...)
	// By its refresh tokens the client would see two subs of one person, and link what
	// pairwise subs keep apart (OpenID Connect Core §8.1).
	switch {
	case known.Pairwise != next.Pairwise:
		invalid = append(invalid, FieldError{Field: "subject_type", Reason: "cannot be changed: users would get another sub; add another client"})
	case known.Pairwise && known.Sector() != next.Sector():
		invalid = append(invalid, FieldError{
			Field:  "sector_host",
			Reason: fmt.Sprintf("users of a pairwise client would get another sub; set sector_host to %q, or add another client", known.Sector()),
		})
	}
	if invalid != nil {
		return fmt.Errorf("client %q: %w", known.ID, invalid)
	}
	return nil
}

// inPlaceOf returns the client as it replaces known: with its ID and its secret, or a new one
// of random, which it returns, if it needs another kind of secret.
func (c Client) inPlaceOf(known Client, random string) (next Client, secret string) {
	next = c
	next.ID, next.Created, next.FromConfig = known.ID, known.Created, false
	next.SecretHashes, next.Secrets = nil, nil
	if !next.HasSecret() {
		return next, ""
	}
	if next.AuthMethod == AuthSecretJWT {
		next.Secrets = known.Secrets
	} else {
		next.SecretHashes = known.SecretHashes
	}
	if len(next.Secrets)+len(next.SecretHashes) == 0 {
		secret = next.secretOf(random)
		next.AddSecret(secret)
	}
	return next, secret
}
