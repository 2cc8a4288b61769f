// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/keys"
	"calleridp/provider/redact"
)

// Errors of the registry.
var (
	// ErrUnauthenticated means a wrong or missing secret, or an unknown client;
	// callers cannot tell which.
	ErrUnauthenticated = errors.New("client: unknown client or wrong secret")
	// ErrFromConfig means that the config file declares the client.
	ErrFromConfig = errors.New("client: declared in the config file; change it there and reload the server")
	// ErrOwn means that the program has made the client for itself.
	ErrOwn = errors.New("client: the program's own; it follows the configuration")
	// ErrRegisteredItself means that the client registered itself: only it changes what it
	// has registered.
	ErrRegisteredItself = errors.New("client: registered itself")
	// ErrNoSecret means that the client is public, or authenticates by its private key.
	ErrNoSecret = errors.New("client: has no secret")
)

// liveSecrets is how many secrets of a client are valid at once: the new one and
// the one that it replaces.
const liveSecrets = 2

// App is what the registration of a client needs to know of a Truecaller app.
type App struct {
	ID     string
	Native bool // accepts the codes of native applications
}

// Registry holds all clients: those of the config file, which are replaced together,
// and those of the store. It is safe for concurrent use.
type Registry struct {
	config atomic.Pointer[declared]
	own    declared // the program's own, in no list; written before the registry is used
	store  Store
	here   Deployment

	reading sync.Mutex // held while origins is read
	mu      sync.Mutex
	origins map[kindOfOrigin]bool
	read    time.Time // when the reading of origins began
	tried   time.Time // when the last reading began, also one that failed
}

// declared are the clients of the config file, by ID. It is replaced as a whole.
type declared map[string]Client

// NewRegistry checks the clients of the config file and reports all errors at
// once. here is what the server has for its clients.
func NewRegistry(config []Client, store Store, here Deployment) (*Registry, error) {
	r := &Registry{store: store, here: here}
	use, err := r.PrepareConfig(config)
	if err != nil {
		return nil, err
	}
	use()
	return r, nil
}

// PrepareConfig checks clients that the config file declares now, against what the running
// server has for its clients, and reports all errors at once. use makes them the declared
// ones, all at the same moment. What a client had that is no longer among them is of no use
// from then on, because every use of it looks the client up.
func (r *Registry) PrepareConfig(config []Client) (use func(), err error) {
	all := make(declared, len(config))
	var invalid []error
	for _, c := range config {
		c.FromConfig = true
		_, missing := r.here.validate(c)
		if fields := append(Validate(c), missing...); fields != nil {
			invalid = append(invalid, fmt.Errorf("client %q: %w", c.ID, fields))
		}
		if _, taken := r.own[c.ID]; taken {
			invalid = append(invalid, r.takenByProgram(c.ID))
		}
		if _, taken := all[c.ID]; taken {
			invalid = append(invalid, fmt.Errorf("client %q: declared twice", c.ID))
		}
		all[c.ID] = c
	}
	if len(invalid) > 0 {
		return nil, errors.Join(invalid...)
	}
	return func() {
		r.config.Store(&all)
		r.forgetOrigins()
	}, nil
}

// inConfig returns the client that the config file declares, or that is the program's own.
func (r *Registry) inConfig(id string) (c Client, ok bool) {
	if c, ok = r.own[id]; ok {
		return c, true
	}
	c, ok = (*r.config.Load())[id]
	return c, ok
}

// CheckChange returns ErrFromConfig or ErrOwn for a client that is not in the store, so that
// operators change it elsewhere, or not at all.
func (r *Registry) CheckChange(id string) error {
	if _, ok := r.own[id]; ok {
		return ErrOwn
	}
	if _, ok := r.inConfig(id); ok {
		return ErrFromConfig
	}
	return nil
}

// AddOwn adds or replaces a client of the program itself: it is found by its ID, and is in no
// list of clients. It is called before the registry is used.
func (r *Registry) AddOwn(c Client) error {
	if invalid := append(Validate(c), ValidateFor(c, r.here)...); invalid != nil {
		return fmt.Errorf("client %q: %w", c.ID, invalid)
	}
	if _, taken := (*r.config.Load())[c.ID]; taken {
		return r.takenByProgram(c.ID)
	}
	if r.own == nil {
		r.own = declared{}
	}
	c.FromConfig = true // so that nothing changes it
	r.own[c.ID] = c
	return nil
}

func (r *Registry) takenByProgram(id string) error {
	return fmt.Errorf("client %q: the ID is reserved; choose another one", id)
}

// CheckStored returns which stored clients can have no ID token any more, because
// their algorithm was turned off since they were added.
func (r *Registry) CheckStored(ctx context.Context) error {
	stored, err := r.store.Clients(ctx)
	if err != nil {
		return err
	}
	var invalid []error
	for _, c := range stored {
		if fields := r.here.validateResponses(c); fields != nil {
			invalid = append(invalid, fmt.Errorf("client %q: %w", c.ID, fields))
		}
	}
	return errors.Join(invalid...)
}

// Client returns the client with this id, or ErrNotFound. The config file wins
// over the store.
func (r *Registry) Client(ctx context.Context, id string) (Client, error) {
	if c, ok := r.inConfig(id); ok {
		return c, nil
	}
	if !isID(id) {
		return Client{}, ErrNotFound
	}
	return r.store.Client(ctx, id)
}

// List returns all clients, ordered by ID.
func (r *Registry) List(ctx context.Context) ([]Client, error) {
	stored, err := r.store.Clients(ctx)
	if err != nil {
		return nil, err
	}
	config := *r.config.Load()
	list := make([]Client, 0, len(config)+len(stored))
	for _, c := range config {
		list = append(list, c)
	}
	for _, c := range stored {
		if _, shadowed := r.inConfig(c.ID); !shadowed {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Client) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// SecretHash is the SHA-256 of a client secret.
type SecretHash = redact.Hash

// HashSecret returns what is stored of a client secret. SHA-256 suffices for the
// 256 random bits of a generated one.
func HashSecret(secret string) SecretHash { return sha256.Sum256([]byte(secret)) }

// HasSecret reports whether the client has a client_secret.
func (c Client) HasSecret() bool { return !c.Public && c.AuthMethod != AuthPrivateKeyJWT }

// secretOf returns the client's part of a random text of 64 bytes: all of it if it makes
// signatures, HS512 among them (RFC 7518 §3.2); else 256 bits suffice.
func (c Client) secretOf(random string) string {
	if c.AuthMethod == AuthSecretJWT {
		return random
	}
	return random[:43]
}

// AddSecret makes secret the client's newest. The one that it replaces stays valid.
func (c *Client) AddSecret(secret string) {
	if c.AuthMethod == AuthSecretJWT {
		c.Secrets = append([]redact.Text{redact.Text(secret)}, c.Secrets[:min(len(c.Secrets), liveSecrets-1)]...)
		return
	}
	c.SecretHashes = append([]SecretHash{HashSecret(secret)}, c.SecretHashes[:min(len(c.SecretHashes), liveSecrets-1)]...)
}

// Authenticate returns the client if secret is one of its own, else
// ErrUnauthenticated. A public client has none and presents the empty secret
// (RFC 6749 §2.3.1, §3.2.1). It compares in constant time, and as often for an
// unknown client.
func (r *Registry) Authenticate(ctx context.Context, id, secret string) (Client, error) {
	c, err := r.Client(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Client{}, err
	}
	hash := HashSecret(secret)
	match := 0
	for i := range liveSecrets {
		var have [32]byte // no known secret has the hash zero
		if i < len(c.SecretHashes) {
			have = c.SecretHashes[i]
		}
		match |= subtle.ConstantTimeCompare(hash[:], have[:])
	}
	switch {
	case err != nil:
	case c.Public && secret == "":
		return c, nil
	case !c.Public && secret != "" && match == 1:
		return c, nil
	}
	return Client{}, ErrUnauthenticated
}

// Add stores a new client and returns it with its secret, which cannot be read
// again; "" for a public client. A random ID replaces an empty one. The error
// wraps FieldErrors if c is invalid, and is ErrExists if the ID is taken.
func (r *Registry) Add(ctx context.Context, c Client) (Client, string, error) {
	given := c.ID
	if given == "" {
		c.ID = NewID()
	}
	c.Registration = nil
	c, secret := prepared(c)
	if invalid := append(Validate(c), ValidateFor(c, r.here)...); invalid != nil {
		if given == "" {
			return Client{}, "", invalid
		}
		return Client{}, "", fmt.Errorf("client %q: %w", given, invalid)
	}
	if _, taken := r.inConfig(c.ID); taken {
		return Client{}, "", ErrExists
	}
	if err := r.store.CreateClient(ctx, c); err != nil {
		return Client{}, "", err
	}
	r.forgetOrigins()
	return c, secret, nil
}

// Import stores a client from elsewhere, with the hashes of its secrets. It is as new as one
// of Add, whatever c.Created says: what was given to a removed client of its ID stays ended
// (RegisteredAfter). The error wraps FieldErrors if c is invalid, and is ErrExists if the ID
// is taken. A client whose secret is needed in the clear gets a random unknown one: rotate
// it.
func (r *Registry) Import(ctx context.Context, c Client, dryRun bool) error {
	c.Registration, c.FromConfig, c.Secrets = nil, false, nil
	c.Created = time.Now()
	if c.HasSecret() && len(c.SecretHashes) == 0 {
		c.AddSecret(c.secretOf(keys.RandomText(64)))
	}
	if invalid := append(Validate(c), ValidateFor(c, r.here)...); invalid != nil {
		return fmt.Errorf("client %q: %w", c.ID, invalid)
	}
	switch _, err := r.Client(ctx, c.ID); {
	case err == nil:
		return ErrExists
	case !errors.Is(err, ErrNotFound):
		return err
	case dryRun:
		return nil
	}
	if err := r.store.CreateClient(ctx, c); err != nil {
		return err
	}
	r.forgetOrigins()
	return nil
}

// NewID returns a random client_id.
func NewID() string { return keys.RandomText(16) }

// CheckNew returns the error of Add for a client with an ID, without adding it.
func (r *Registry) CheckNew(ctx context.Context, c Client) error {
	c.Registration = nil
	c, _ = prepared(c)
	if invalid := append(Validate(c), ValidateFor(c, r.here)...); invalid != nil {
		return fmt.Errorf("client %q: %w", c.ID, invalid)
	}
	switch _, err := r.Client(ctx, c.ID); {
	case err == nil:
		return ErrExists
	case !errors.Is(err, ErrNotFound):
		return err
	}
	return nil
}

// prepared returns a new client as it is stored, and its secret, "" for none.
func prepared(c Client) (stored Client, secret string) {
	c.Created = time.Now()
	c.FromConfig = false
	c.SecretHashes, c.Secrets = nil, nil
	if c.HasSecret() {
		secret = c.secretOf(keys.RandomText(64))
		c.AddSecret(secret)
	}
	return c, secret
}

// RotateSecret gives the client a new secret and returns it; it cannot be read
// again. The secret that it replaces stays valid until the next rotation, so that
// the application can be updated meanwhile; rotate twice to revoke both. The error is that of
// CheckChange or CheckRotation, or ErrNotFound.
func (r *Registry) RotateSecret(ctx context.Context, id string) (string, error) {
	if err := r.CheckChange(id); err != nil {
		return "", err
	}
	secret, random := "", keys.RandomText(64)
	err := r.store.UpdateClient(ctx, id, func(c *Client) error {
		if err := CheckRotation(*c); err != nil {
			return err
		}
		secret = c.secretOf(random)
		c.AddSecret(secret)
		return nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// CheckRotation returns why a client gets no new secret from an operator:
// ErrFromConfig, ErrRegisteredItself or ErrNoSecret. One that registered itself has no way to
// hear of another secret: its registration cannot be read with one (RFC 7592 §2.1), because
// only the hash is kept.
func CheckRotation(c Client) error {
	switch {
	case c.FromConfig:
		return ErrFromConfig
	case c.Registration != nil:
		return ErrRegisteredItself
	case !c.HasSecret():
		return ErrNoSecret
	}
	return nil
}

// Remove deletes the client. That revokes its tokens, because every use of one
// looks the client up.
func (r *Registry) Remove(ctx context.Context, id string) error {
	if err := r.CheckChange(id); err != nil {
		return err
	}
	if err := r.store.DeleteClient(ctx, id); err != nil {
		return err
	}
	r.forgetOrigins()
	return nil
}

// originsAge is how long an origin stays allowed to send preflights after another
// server has removed its client.
const originsAge = 5 * time.Second

// originsPause is the minimum time between two readings of the origins: an attacker can
// send preflights from any number of unknown origins, and each reading reads all
// clients.
const originsPause = time.Second

// OriginAllowed reports whether the origin is any client's. CORS preflights use
// it, because they name no client. An origin that is not known is looked for, because
// another server may have added its client, but once in originsPause for all who ask. What
// this server adds is known at once.
func (r *Registry) OriginAllowed(ctx context.Context, origin string) bool {
	return r.hasOrigin(ctx, kindOfOrigin{origin: origin})
}

// PageAllowed reports whether the origin is that of any client's pages (Client.Pages), in
// the same way.
func (r *Registry) PageAllowed(ctx context.Context, origin string) bool {
	return r.hasOrigin(ctx, kindOfOrigin{origin: origin, page: true})
}

// kindOfOrigin is an origin of Client.Origins, or one of Client.Pages.
type kindOfOrigin struct {
	origin string
	page   bool
}

func (r *Registry) hasOrigin(ctx context.Context, origin kindOfOrigin) bool {
	since := time.Now().Add(-originsAge)
	if r.originKnown(origin, since) {
		return true
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	r.mu.Lock()
	paused := time.Since(r.tried) < originsPause
	r.mu.Unlock()
	if !paused {
		// The reading is for all: who hangs up does not end it.
		r.readOrigins(context.WithoutCancel(ctx))
	}
	return r.originKnown(origin, since)
}

// originKnown reports whether the origin is in a list that was read since then.
func (r *Registry) originKnown(origin kindOfOrigin, since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.origins[origin] && !r.read.Before(since)
}

// readOrigins reads the origins of all clients. The caller holds r.reading.
func (r *Registry) readOrigins(ctx context.Context) {
	began := time.Now()
	r.mu.Lock()
	r.tried = began
	r.mu.Unlock()
	list, err := r.List(ctx)
	if err != nil {
		return
	}
	origins := map[kindOfOrigin]bool{}
	for _, c := range list {
		for _, o := range c.Origins() {
			origins[kindOfOrigin{origin: o}] = true
		}
		for _, o := range c.Pages() {
			origins[kindOfOrigin{origin: o, page: true}] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.origins, r.read = origins, began
}

func (r *Registry) forgetOrigins() {
	r.reading.Lock() // what is being read may be older
	defer r.reading.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.origins, r.tried = nil, time.Time{}
}
