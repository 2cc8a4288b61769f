// SPDX-License-Identifier: Apache-2.0

// Package clientkeys knows the public keys that clients have registered (jwks) or publish
// (jwks_uri): those that verify what they have signed, and those that something is
// encrypted to.
package clientkeys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"calleridp/provider/client"

	"github.com/go-jose/go-jose/v4"
)

// How long the keys that a client publishes are used.
const (
	// freshFor is how long they are used without a look at their address.
	freshFor = 10 * time.Minute
	// staleFor is how long they are used while their address does not respond.
	staleFor = time.Hour
	// againAfter is the minimum time between two fetches of an address, because an attacker
	// can invent a kid.
	againAfter = 30 * time.Second
	// maxPublished is how many clients' keys are remembered.
	maxPublished = 1000
)

// Fetcher reads what clients publish. *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, address, accept string) ([]byte, error)
}

// Keys knows the public keys of clients. What it has fetched is this server's own: each
// fetches for itself. It is safe for concurrent use.
type Keys struct {
	fetcher Fetcher
	log     *slog.Logger

	mu        sync.Mutex
	published map[string]*published // by jwks_uri
}

// published is what was fetched from an address.
type published struct {
	fetching chan struct{} // full during a fetch

	mu     sync.Mutex
	keys   []jose.JSONWebKey
	since  time.Time // when keys were fetched
	tried  time.Time // when the last fetch ended
	failed bool      // that fetch
}

// New returns Keys.
func New(f Fetcher, log *slog.Logger) *Keys {
	return &Keys{fetcher: f, log: log, published: map[string]*published{}}
}

// Errors of Of and ForEncryption, which are the client's to mend.
var (
	// ErrUnread means that the client's jwks_uri could not be read. The log says why.
	ErrUnread = errors.New("clientkeys: the client's jwks_uri could not be read")
	// ErrNoKey means that the client has no key for an encryption.
	ErrNoKey = errors.New("clientkeys: the client has no key for it")
)

// Of returns the keys of a client. It looks at its jwks_uri again for a kid that it has
// not seen there: a client that rotates its keys need not wait.
func (k *Keys) Of(ctx context.Context, c client.Client, kid string) ([]jose.JSONWebKey, error) {
	return k.having(ctx, c, func(set []jose.JSONWebKey) bool {
		return kid == "" || slices.ContainsFunc(set, func(key jose.JSONWebKey) bool { return key.KeyID == kid })
	})
}

// ForEncryption returns the key of a client that something is encrypted to, with a kid if
// the client gave it one (OpenID Connect Core §10.2). It looks at its jwks_uri again if
// there was none.
func (k *Keys) ForEncryption(ctx context.Context, c client.Client, e client.Encryption) (jose.JSONWebKey, error) {
	set, err := k.having(ctx, c, func(set []jose.JSONWebKey) bool {
		_, ok := e.Key(set)
		return ok
	})
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	key, ok := e.Key(set)
	if !ok {
		return jose.JSONWebKey{}, fmt.Errorf("%w: %s", ErrNoKey, e.Alg)
	}
	return key, nil
}

// having returns the keys of a client. It looks at its jwks_uri again if those that it has
// seen there lack something.
func (k *Keys) having(ctx context.Context, c client.Client, enough func(set []jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	if c.KeysURI == "" {
		return client.ParseKeys([]byte(c.Keys))
	}
	p := k.at(c.KeysURI)
	keys, fresh := p.known(enough)
	if fresh {
		return keys, nil
	}
	select {
	case p.fetching <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if keys, fresh := p.known(enough); fresh { // another request has fetched meanwhile
		<-p.fetching
		return keys, nil
	}
	// A caller that disconnects ends no fetch, and the fetch counts; otherwise an attacker
	// who disconnects could start any number of fetches.
	done := make(chan outcome, 1)
	go func() {
		keys, err := k.fetch(context.WithoutCancel(ctx), c, p)
		<-p.fetching
		done <- outcome{keys, err}
	}()
	select {
	case got := <-done:
		return got.keys, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// outcome is what Keys.fetch returns.
type outcome struct {
	keys []jose.JSONWebKey
	err  error
}

// at returns what is known of an address.
func (k *Keys) at(uri string) *published {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.published[uri]
	if p == nil {
		if len(k.published) >= maxPublished {
			for other := range k.published { // any: it is fetched again
				delete(k.published, other)
				break
			}
		}
		p = &published{fetching: make(chan struct{}, 1)}
		k.published[uri] = p
	}
	return p
}

// known returns the keys that were fetched, and whether they need not be fetched again.
func (p *published) known(enough func(set []jose.JSONWebKey) bool) (keys []jose.JSONWebKey, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.tried) < againAfter {
		return p.keys, p.keys != nil
	}
	return p.keys, now.Sub(p.since) < freshFor && enough(p.keys)
}

// fetch reads the keys at the client's address. p.fetching is full. The Fetcher bounds how
// long it takes.
func (k *Keys) fetch(ctx context.Context, c client.Client, p *published) ([]jose.JSONWebKey, error) {
	if p.leftAlone() {
		return nil, ErrUnread
	}
	body, err := k.fetcher.Get(ctx, c.KeysURI, "application/jwk-set+json, application/json")
	var keys []jose.JSONWebKey
	if err == nil {
		keys, err = client.ParseKeys(body)
	}
	withdrawn := errors.Is(err, client.ErrNoKeys) // those of before must not be used for an hour
	if withdrawn {
		keys, err = []jose.JSONWebKey{}, nil
	}
	keys, usable := p.fetched(keys, err, time.Now())
	switch {
	case withdrawn:
		k.log.WarnContext(ctx, "a client has published a JWK set without a usable key; it cannot authenticate or get encrypted responses", "client", c.ID)
	case !usable:
		k.log.WarnContext(ctx, "a client's keys could not be fetched; it cannot authenticate or get encrypted responses", "client", c.ID, "error", err)
		return nil, ErrUnread
	case err != nil:
		k.log.WarnContext(ctx, "a client's keys could not be fetched again; the previous ones are used for up to an hour", "client", c.ID, "error", err)
	}
	return keys, nil
}

// leftAlone reports whether the address has failed so shortly ago that it is not asked.
func (p *published) leftAlone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed && time.Since(p.tried) < againAfter
}

// fetched remembers the outcome of a fetch, and returns the keys to use.
func (p *published) fetched(keys []jose.JSONWebKey, err error, now time.Time) (use []jose.JSONWebKey, usable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried, p.failed = now, err != nil
	switch {
	case err == nil:
		p.keys, p.since = keys, now
	case now.Sub(p.since) >= staleFor:
		p.keys = nil
	}
	return p.keys, p.keys != nil
}
