// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/idempotency"
)

// Once makes a request with POST happen once, however often it is sent.
type Once struct {
	IdempotencyKey string `header:"Idempotency-Key" minLength:"8" maxLength:"255" doc:"A request with this key that was carried out within a day is not carried out again: its response is repeated, without its secret."`
}

func (o Once) idempotencyKey() string { return o.IdempotencyKey }

// secretive is a response with a secret, which is shown once and kept nowhere.
type secretive interface{ withhold() }

func (c *Client) withhold()            { c.Secret = "" }
func (t *RegistrationToken) withhold() { t.Token = "" }

// repeated is a response that can be given again.
type repeated interface {
	secretive
	repeat()
}

func (r *Reply[T]) withhold() { withhold(&r.Body) }
func (r *Reply[T]) repeat()   { r.Repeated = "true" }
func (r *Added[T]) withhold() { withhold(&r.Body) }
func (r *Added[T]) repeat()   { r.Repeated = "true" }

func withhold(body any) {
	if s, ok := body.(secretive); ok {
		s.withhold()
	}
}

// carryOut does what a request wants. If it has an Idempotency-Key, that is done once.
//
// The key is remembered before anything is done, with a digest of the request, under who sent
// it. A request whose end is not known, because the server died or its store was away, is
// never carried out again: whoever sends it again is told to look. What was refused is
// forgotten, because nothing was done. Responses are kept without their secrets: one that was
// lost cannot be had again, neither by its sender, who makes a new one, nor by a thief of the
// API key or the store.
func carryOut[I, O any](ctx context.Context, a *API, operation string, in *I, do func(context.Context, *I) (*O, error)) (*O, error) {
	sent, ok := any(*in).(interface{ idempotencyKey() string })
	if !ok || sent.idempotencyKey() == "" {
		return do(ctx, in)
	}
	access, _ := ctx.Value(accessKey{}).(Access)
	request, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r := idempotency.Request{
		Key:    sha256.Sum256(mustJSON(access.Who, operation, sent.idempotencyKey())),
		Digest: sha256.Sum256(request),
		Began:  time.Now(),
	}
	stored, began, err := a.Requests.BeginRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	if !began {
		return again[O](r, stored)
	}
	out, err := do(ctx, in)
	kept := context.WithoutCancel(ctx) // who sent it may have gone
	if p, ok := errors.AsType[*Problem](err); ok && p.Status < http.StatusInternalServerError || errors.Is(err, audit.ErrNotRecorded) {
		if failed := a.Requests.ForgetRequest(kept, r.Key); failed != nil {
			a.Log.ErrorContext(ctx, "a refused request of an operator is not forgotten", "operation", operation, "error", failed)
		}
	}
	if err != nil {
		return nil, err
	}
	plain := *out
	if s, ok := any(&plain).(secretive); ok {
		s.withhold()
	}
	if r.Response, err = json.Marshal(plain); err == nil {
		err = a.Requests.EndRequest(kept, r)
	}
	if err != nil { // it was done: a repetition is told to look
		a.Log.ErrorContext(ctx, "the response to an operator's request is not kept", "operation", operation, "error", err)
	}
	return out, nil
}

// again is the response to a request whose key is known.
func again[O any](r, stored idempotency.Request) (*O, error) {
	switch {
	case stored.Digest != r.Digest:
		return nil, refused(http.StatusUnprocessableEntity, "the Idempotency-Key was sent with another request before; use a new one")
	case stored.Response == nil:
		return nil, refused(http.StatusConflict,
			"the first request with this Idempotency-Key is not done, or its outcome is not known; look whether it was done, and use a new key if it was not")
	}
	out := new(O)
	if err := json.Unmarshal(stored.Response, out); err != nil {
		return nil, err
	}
	if r, ok := any(out).(repeated); ok {
		r.repeat()
	}
	return out, nil
}

func mustJSON(parts ...string) []byte {
	raw, err := json.Marshal(parts)
	if err != nil {
		panic("admin: texts cannot be written: " + err.Error())
	}
	return raw
}
