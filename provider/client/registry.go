package client

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"calleridp/keys"
)

// Errors of the registry.
var (
	// ErrUnauthenticated is the one answer to a wrong secret, a missing one and
	// an unknown client.
	ErrUnauthenticated = errors.New("client: unknown client or wrong secret")
	// ErrFromConfig says that the client stands in the config file.
	ErrFromConfig = errors.New("client: declared in the config file; change it there and restart")
	// ErrPublic says that a public client has no secret.
	ErrPublic = errors.New("client: is public and has no secret")
)

// liveSecrets is how many secrets of a client are good at once: the new one,
// and the one that it replaces.
const liveSecrets = 2

// App is a Truecaller app, as far as the registration of a client depends on it.
type App struct {
	ID     string
	Native bool // it takes the codes of native applications
}

// Registry knows all clients: those of the config file, which cannot be changed
// here, and those of the store. It is safe for concurrent use.
type Registry struct {
	config map[string]Client
	store  Store
	apps   []App // the Truecaller apps that there are

	mu      sync.Mutex
	origins map[string]bool
	until   time.Time // when origins is read again
}

// NewRegistry checks the clients of the config file. All problems are reported
// at once. apps are the Truecaller apps that a client may name; the first is that
// of clients that name none.
func NewRegistry(config []Client, store Store, apps []App) (*Registry, error) {
	r := &Registry{config: make(map[string]Client, len(config)), store: store, apps: apps}
	var problems []error
	for _, c := range config {
		c.FromConfig = true
		if found := r.validate(c); len(found) > 0 {
			problems = append(problems, &InvalidError{ID: c.ID, Problems: found})
		}
		if _, taken := r.config[c.ID]; taken {
			problems = append(problems, fmt.Errorf("client %q: declared twice", c.ID))
		}
		r.config[c.ID] = c
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return r, nil
}

// validate is Validate, and whether the Truecaller app is there.
func (r *Registry) validate(c Client) []Problem {
	problems := Validate(c)
	if c.TruecallerApp != "" && r.app(c) == nil {
		ids := make([]string, len(r.apps))
		for i, app := range r.apps {
			ids[i] = app.ID
		}
		problems = append(problems, Problem{"truecaller_app", fmt.Sprintf("%q is not configured; there is %s", c.TruecallerApp, strings.Join(ids, ", "))})
	}
	return problems
}

// app is the Truecaller app through which the client's people are asked, nil if
// there is none.
func (r *Registry) app(c Client) *App {
	for i, app := range r.apps {
		if c.TruecallerApp == "" || c.TruecallerApp == app.ID {
			return &r.apps[i]
		}
	}
	return nil
}

// Client returns the client with this id, or ErrNotFound. The config file wins
// over the store.
func (r *Registry) Client(ctx context.Context, id string) (Client, error) {
	if c, ok := r.config[id]; ok {
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
	list := make([]Client, 0, len(r.config)+len(stored))
	for _, c := range r.config {
		list = append(list, c)
	}
	for _, c := range stored {
		if _, shadowed := r.config[c.ID]; !shadowed {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Client) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// HashSecret is what is kept of a client secret. SHA-256 is right for the 256
// random bits of a generated one.
func HashSecret(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// Authenticate returns the client if secret is one of its own, else
// ErrUnauthenticated. A public client has none, and comes with the empty secret
// (RFC 6749 §2.3.1, §3.2.1). The comparisons are in constant time, and as many
// for an unknown client.
func (r *Registry) Authenticate(ctx context.Context, id, secret string) (Client, error) {
	c, err := r.Client(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Client{}, err
	}
	hash := HashSecret(secret)
	match := 0
	for i := range liveSecrets {
		var have [32]byte // nothing is known to have the hash zero
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

// Add keeps a new client and returns it with its secret, which is shown this
// once; "" for a public client. An empty ID is replaced by a random one. The
// error is an *InvalidError when something is wrong with c, and ErrExists when
// the ID is taken.
func (r *Registry) Add(ctx context.Context, c Client) (Client, string, error) {
	given := c.ID
	if given == "" {
		c.ID = keys.RandomText(16)
	}
	c.Created = time.Now()
	c.FromConfig = false
	c.SecretHashes = nil
	secret := ""
	if !c.Public {
		secret = keys.RandomText(32)
		c.SecretHashes = [][32]byte{HashSecret(secret)}
	}
	found := r.validate(c)
	if app := r.app(c); c.Native && app != nil && !app.Native {
		found = append(found, Problem{"native", fmt.Sprintf("needs a Truecaller app with the method native, which %q does not have", app.ID)})
	}
	if len(found) > 0 {
		return Client{}, "", &InvalidError{ID: given, Problems: found}
	}
	if _, taken := r.config[c.ID]; taken {
		return Client{}, "", ErrExists
	}
	if err := r.store.CreateClient(ctx, c); err != nil {
		return Client{}, "", err
	}
	r.forgetOrigins()
	return c, secret, nil
}

// RotateSecret gives the client a new secret and returns it, this once. The
// secret that it replaces stays good until the next rotation, so that the
// application can be changed in its own time; to end that one too, rotate twice.
func (r *Registry) RotateSecret(ctx context.Context, id string) (string, error) {
	if _, ok := r.config[id]; ok {
		return "", ErrFromConfig
	}
	secret := keys.RandomText(32)
	err := r.store.UpdateClient(ctx, id, func(c *Client) error {
		if c.Public {
			return ErrPublic
		}
		hashes := append([][32]byte{HashSecret(secret)}, c.SecretHashes...)
		c.SecretHashes = hashes[:min(len(hashes), liveSecrets)]
		return nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// Remove forgets the client. Its tokens end with it, because every use of one
// looks the client up.
func (r *Registry) Remove(ctx context.Context, id string) error {
	if _, ok := r.config[id]; ok {
		return ErrFromConfig
	}
	if err := r.store.DeleteClient(ctx, id); err != nil {
		return err
	}
	r.forgetOrigins()
	return nil
}

// originsAge is how long the list of all clients' origins is kept: a client
// that was added through another node is seen after it.
const originsAge = 5 * time.Second

// OriginAllowed says whether any client lists the origin. It answers CORS
// preflights, which do not say for which client they ask.
func (r *Registry) OriginAllowed(ctx context.Context, origin string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.origins == nil || now.After(r.until) {
		list, err := r.List(ctx)
		if err != nil {
			return false
		}
		r.origins = map[string]bool{}
		for _, c := range list {
			for _, o := range c.AllowedOrigins {
				r.origins[o] = true
			}
		}
		r.until = now.Add(originsAge)
	}
	return r.origins[origin]
}

func (r *Registry) forgetOrigins() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.origins = nil
}
