package clientauth

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"

	"github.com/go-jose/go-jose/v4"
)

// How long the keys that a client publishes are used.
const (
	// keysFresh is how long they are used without a look at their address.
	keysFresh = 10 * time.Minute
	// keysStale is how long they are used while their address does not respond.
	keysStale = time.Hour
	// keysAgain is how long an address is left alone, whatever kid a request names:
	// anybody can make one up.
	keysAgain = 30 * time.Second
	// maxPublished is how many clients' keys are remembered.
	maxPublished = 1000
)

// Fetcher reads what clients publish. *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, address, accept string) ([]byte, error)
}

// Keys knows the public keys of clients. What it has fetched is this process's own: each
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

// NewKeys returns Keys.
func NewKeys(f Fetcher, log *slog.Logger) *Keys {
	return &Keys{fetcher: f, log: log, published: map[string]*published{}}
}

// errUnpublished is the refusal of a client whose keys cannot be read. The log says why.
var errUnpublished = endpoint.InvalidClient("the client's jwks_uri could not be read")

// Of returns the keys of a client. It looks at its jwks_uri again for a kid that it has
// not seen there: a client that rotates its keys need not wait. The error is a refusal if
// they cannot be read.
func (k *Keys) Of(ctx context.Context, c client.Client, kid string) ([]jose.JSONWebKey, error) {
	if c.KeysURI == "" {
		return client.ParseKeys([]byte(c.Keys))
	}
	p := k.at(c.KeysURI)
	keys, fresh := p.known(kid)
	if fresh {
		return keys, nil
	}
	select {
	case p.fetching <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if keys, fresh := p.known(kid); fresh { // somebody else has fetched meanwhile
		<-p.fetching
		return keys, nil
	}
	// A caller that goes away ends no fetch: one that is begun counts, or whoever hangs up
	// could begin as many as they like.
	done := make(chan fetchedKeys, 1)
	go func() {
		keys, err := k.fetch(context.WithoutCancel(ctx), c, p)
		<-p.fetching
		done <- fetchedKeys{keys, err}
	}()
	select {
	case got := <-done:
		return got.keys, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fetchedKeys is what Keys.fetch returns.
type fetchedKeys struct {
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
func (p *published) known(kid string) (keys []jose.JSONWebKey, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.tried) < keysAgain {
		return p.keys, p.keys != nil
	}
	seen := kid == "" || slices.ContainsFunc(p.keys, func(key jose.JSONWebKey) bool { return key.KeyID == kid })
	return p.keys, seen && now.Sub(p.since) < keysFresh
}

// fetch reads the keys at the client's address. p.fetching is full. The Fetcher bounds how
// long it takes.
func (k *Keys) fetch(ctx context.Context, c client.Client, p *published) ([]jose.JSONWebKey, error) {
	if p.leftAlone() {
		return nil, errUnpublished
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
		k.log.WarnContext(ctx, "a client has published a JWK set without a usable key, so that it cannot authenticate", "client", c.ID)
	case !usable:
		k.log.WarnContext(ctx, "a client's keys could not be read, so that it cannot authenticate", "client", c.ID, "error", err)
		return nil, errUnpublished
	case err != nil:
		k.log.WarnContext(ctx, "a client's keys could not be read again; those of before are used for up to an hour", "client", c.ID, "error", err)
	}
	return keys, nil
}

// leftAlone reports whether the address has failed so shortly ago that it is not asked.
func (p *published) leftAlone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed && time.Since(p.tried) < keysAgain
}

// fetched remembers the outcome of a fetch, and returns the keys to use.
func (p *published) fetched(keys []jose.JSONWebKey, err error, now time.Time) (use []jose.JSONWebKey, usable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried, p.failed = now, err != nil
	switch {
	case err == nil:
		p.keys, p.since = keys, now
	case now.Sub(p.since) >= keysStale:
		p.keys = nil
	}
	return p.keys, p.keys != nil
}
