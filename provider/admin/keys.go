// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"calleridp/keys"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"

	"github.com/danielgtaylor/huma/v2"
)

// Rotation is a request to activate the next signing keys.
type Rotation struct {
	Once
	Alg   string `query:"alg" maxLength:"32" doc:"Of one algorithm; if left out, of all."`
	Force bool   `query:"force" doc:"At once, though clients may not know the next keys yet."`
}

// KeyID names a signing key.
type KeyID struct {
	KID string `path:"kid"`
}

func (a *API) keys() {
	register(a, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/v1/keys", Tags: []string{"Keys"},
		Summary: "List the signing keys", Description: "Without their private parts.",
	}, apikey.KeysRead, a.ListKeys)
	register(a, huma.Operation{
		OperationID: "rotate-keys", Method: http.MethodPost, Path: "/v1/keys/rotate", Tags: []string{"Keys"},
		Summary: "Activate the next signing keys", Description: "And make new next ones.", Errors: []int{http.StatusConflict},
	}, apikey.KeysWrite, a.RotateKeys)
	register(a, huma.Operation{
		OperationID: "remove-key", Method: http.MethodDelete, Path: "/v1/keys/{kid}", Tags: []string{"Keys"},
		Summary: "Remove a retired key from the JWKS at once", Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, apikey.KeysWrite, a.RemoveKey)
}

// ListKeys returns the signing keys, all on one page.
func (a *API) ListKeys(ctx context.Context, _ *struct{}) (*Reply[Page[keys.Info]], error) {
	if err := allowed(ctx, apikey.KeysRead); err != nil {
		return nil, err
	}
	if err := a.Keys.Refresh(ctx); err != nil {
		return nil, err
	}
	return a.keysNow(), nil
}

func (a *API) keysNow() *Reply[Page[keys.Info]] {
	return reply(Page[keys.Info]{Items: append([]keys.Info{}, a.Keys.Keys()...)})
}

// RotateKeys activates the next keys, and returns all.
func (a *API) RotateKeys(ctx context.Context, in *Rotation) (*Reply[Page[keys.Info]], error) {
	if err := allowed(ctx, apikey.KeysWrite); err != nil {
		return nil, err
	}
	err := a.change(ctx, audit.Event{Name: audit.KeysRotated, Alg: in.Alg, Force: in.Force}, func(ctx context.Context) error {
		return a.Keys.Rotate(ctx, in.Alg, in.Force)
	})
	switch {
	case errors.Is(err, keys.ErrTooYoung):
		return nil, refused(http.StatusConflict, "%v", err)
	case errors.Is(err, keys.ErrNoAlgorithm):
		return nil, refused(http.StatusUnprocessableEntity, "there are no keys for %q", in.Alg)
	case err != nil:
		return nil, err
	}
	return a.keysNow(), nil
}

// RemoveKey removes a retired key, and returns the others.
func (a *API) RemoveKey(ctx context.Context, in *KeyID) (*Reply[Page[keys.Info]], error) {
	if err := allowed(ctx, apikey.KeysWrite); err != nil {
		return nil, err
	}
	if err := a.Keys.Refresh(ctx); err != nil {
		return nil, err
	}
	unknown := refused(http.StatusNotFound, "there is no key %s", in.KID)
	if !slices.ContainsFunc(a.Keys.Keys(), func(k keys.Info) bool { return k.ID == in.KID }) {
		return nil, unknown
	}
	err := a.change(ctx, audit.Event{Name: audit.KeysRemoved, Key: in.KID}, func(ctx context.Context) error {
		return a.Keys.Remove(ctx, in.KID)
	})
	switch {
	case errors.Is(err, keys.ErrNoKey):
		return nil, unknown
	case errors.Is(err, keys.ErrInUse):
		return nil, refused(http.StatusConflict, "key %s is not retired; force a rotation first, or two for a next key", in.KID)
	case err != nil:
		return nil, err
	}
	return a.keysNow(), nil
}
