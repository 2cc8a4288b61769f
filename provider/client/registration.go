// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"calleridp/keys"
	"calleridp/provider/limit"
	"calleridp/provider/redact"
)

// Registration is what a client has that registered itself (RFC 7591): a stranger's.
type Registration struct {
	// TokenHash is the SHA-256 of its registration access token (RFC 7592 §3).
	TokenHash redact.Hash
	// InitialToken is the ID of the initial access token with which it was registered; "":
	// without any.
	InitialToken string
	// Used is set when its first user has signed in. One that is never used is removed.
	Used bool

	// What it has registered and nothing here acts on, or what was made of it stands in
	// other fields: the client reads it again (RFC 7592 §2.1).
	ApplicationType     string // web or native
	GrantTypes          []string
	SectorIdentifierURI string
	Contacts            []string
	SoftwareID          string
	SoftwareVersion     string
	RequireAuthTime     bool
}

// HasToken reports whether token is the client's registration access token. It compares in
// constant time.
func (c Client) HasToken(token string) bool {
	if c.Registration == nil || token == "" {
		return false
	}
	hash := HashSecret(token)
	return subtle.ConstantTimeCompare(hash[:], c.Registration.TokenHash[:]) == 1
}

// InitialToken permits registrations (RFC 7591 §3, initial access token).
type InitialToken struct {
	Hash    redact.Hash // SHA-256
	ID      string      // by which operators name it
	Note    string      // for whom it is
	Created time.Time
	Expires time.Time
	Left    uint32 // registrations that it still permits
}

// Terms are what a registration must keep to.
type Terms struct {
	Token *redact.Hash // of the initial access token, which it spends; if nil, none is needed
	Most  int          // how many clients may be registered at once, this one among them
	Spend limit.Spend  // what it costs; charges of the asker only
}

// Errors of registrations.
var (
	// ErrFull means that there are as many registered clients as there may be.
	ErrFull = errors.New("client: too many clients have registered")
	// ErrInitialToken means that the initial access token is unknown, expired or used up.
	ErrInitialToken = errors.New("client: the initial access token is unknown, expired or used up")
	// ErrUsed means that a client stays, because it was used.
	ErrUsed = errors.New("client: was used")
)

// Registrations keeps the clients that register themselves. Writes are durable when they
// return.
type Registrations interface {
	// Spend takes what something costs, or nothing: then the error is a *limit.Exceeded.
	Spend(ctx context.Context, spend limit.Spend, now time.Time) error
	// RegisterClient is CreateClient on terms, all in one transaction: a token permits no
	// more registrations than it may, and there are never more than terms.Most. The error is
	// ErrExists, ErrInitialToken, a *limit.Exceeded or, where nothing else refuses, ErrFull;
	// then nothing is stored.
	RegisterClient(ctx context.Context, c Client, terms Terms, now time.Time) error
	// DeleteClientIf is DeleteClient for a client that check, inside the transaction,
	// returns nil for.
	DeleteClientIf(ctx context.Context, id string, check func(Client) error) error

	// CreateInitialToken stores a token until it expires.
	CreateInitialToken(ctx context.Context, t InitialToken) error
	// InitialToken returns the token with this hash, or ErrInitialToken.
	InitialToken(ctx context.Context, hash redact.Hash) (InitialToken, error)
	// InitialTokens returns all that have not expired, in no particular order.
	InitialTokens(ctx context.Context) ([]InitialToken, error)
	// DeleteInitialToken returns ErrInitialToken when there is none with this hash.
	DeleteInitialToken(ctx context.Context, hash redact.Hash) error
}

// Registered is what a registration gives.
type Registered struct {
	Client Client
	Secret string // "" for none; neither it nor Token can be read again
	Token  string // the registration access token
	// Removed are the IDs of the clients that gave their places, also beside an error.
	Removed []string
}

// tryFor is how long a client that was never used keeps its place when there are no others:
// time for its developer to sign in to it.
const tryFor = time.Hour

// Register stores a client that registers itself, on terms. Its errors are those of Add and
// of RegisterClient. Where as many have registered as may, the oldest gives its place that
// was never used, was registered without an initial access token, and is older than tryFor.
func (r *Registry) Register(ctx context.Context, c Client, terms Terms) (out Registered, err error) {
	token := keys.RandomText(32)
	about := *c.Registration
	about.TokenHash = HashSecret(token)
	c.Registration = &about
	c.ID = keys.RandomText(16)
	c, secret := prepared(c)
	if invalid := append(Validate(c), ValidateFor(c, r.here)...); invalid != nil {
		return Registered{}, invalid
	}
	for range 3 { // others may take the place that was made
		if err = r.store.RegisterClient(ctx, c, terms, time.Now()); !errors.Is(err, ErrFull) {
			break
		}
		removed, failed := r.makeRoom(ctx, time.Now().Add(-tryFor))
		if failed != nil {
			return out, failed
		}
		if removed == "" {
			return out, err
		}
		out.Removed = append(out.Removed, removed)
	}
	if err != nil {
		return out, err
	}
	r.forgetOrigins()
	out.Client, out.Secret, out.Token = c, secret, token
	return out, nil
}

// makeRoom removes the client that registered itself the longest ago, before that time,
// without an initial access token, and was never used. It returns its ID, "" for none.
func (r *Registry) makeRoom(ctx context.Context, before time.Time) (removed string, err error) {
	stored, err := r.store.Clients(ctx)
	if err != nil {
		return "", err
	}
	slices.SortFunc(stored, func(a, b Client) int { return a.Created.Compare(b.Created) })
	gives := func(c Client) error {
		if c.Registration != nil && c.Registration.InitialToken != "" {
			return ErrUsed
		}
		return unusedSince(c, before)
	}
	for _, c := range stored {
		if gives(c) != nil {
			continue
		}
		switch err := r.store.DeleteClientIf(ctx, c.ID, gives); {
		case errors.Is(err, ErrNotFound) || errors.Is(err, ErrUsed):
		case err != nil:
			return "", err
		default:
			r.forgetOrigins()
			return c.ID, nil
		}
	}
	return "", nil
}

// unusedSince returns ErrUsed unless the client registered itself before that time and was
// never used.
func unusedSince(c Client, before time.Time) error {
	if c.Registration == nil || c.Registration.Used || c.Created.After(before) {
		return ErrUsed
	}
	return nil
}

// ChangeRegistered replaces what a client has registered by what is in c, if token is its
// registration access token: else ErrUnauthenticated. It keeps its ID, its tokens and its
// secret. If it needs another kind of secret, the new one is returned.
func (r *Registry) ChangeRegistered(ctx context.Context, id, token string, c Client) (changed Client, secret string, err error) {
	if _, ok := r.inConfig(id); ok {
		return Client{}, "", ErrUnauthenticated
	}
	random := keys.RandomText(64)
	err = r.store.UpdateClient(ctx, id, func(known *Client) error {
		if !known.HasToken(token) {
			return ErrUnauthenticated
		}
		next := c
		about := *c.Registration
		about.TokenHash, about.InitialToken, about.Used = known.Registration.TokenHash, known.Registration.InitialToken, known.Registration.Used
		next.Registration = &about
		next, secret = next.inPlaceOf(*known, random)
		if invalid := append(Validate(next), ValidateFor(next, r.here)...); invalid != nil {
			return invalid
		}
		if invalid := sameSector(*known, next); invalid != nil {
			return invalid
		}
		*known, changed = next, next
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		err = ErrUnauthenticated
	}
	if err != nil {
		return Client{}, "", err
	}
	r.forgetOrigins()
	return changed, secret, nil
}

// sameSector refuses to change the subs of a client that is in use. By its refresh tokens it
// would see two of one person, and link what pairwise subs keep apart (OpenID Connect Core
// §8.1).
func sameSector(known, next Client) error {
	switch {
	case !known.Registration.Used:
	case known.Pairwise != next.Pairwise:
		return FieldErrors{{Field: "subject_type", Reason: "cannot change after a user has signed in: users would get another sub; register another client"}}
	case known.Pairwise && known.Sector() != next.Sector():
		return FieldErrors{{Field: "sector_identifier_uri", Reason: "the sector cannot change after a user has signed in: users would get another sub; register another client"}}
	}
	return nil
}

// RemoveRegistered removes a client and revokes its tokens, if token is its registration
// access token: else ErrUnauthenticated.
func (r *Registry) RemoveRegistered(ctx context.Context, id, token string) error {
	if _, ok := r.inConfig(id); ok {
		return ErrUnauthenticated
	}
	err := r.store.DeleteClientIf(ctx, id, func(c Client) error {
		if !c.HasToken(token) {
			return ErrUnauthenticated
		}
		return nil
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrUnauthenticated
	case err != nil:
		return err
	}
	r.forgetOrigins()
	return nil
}

// Registered returns the client that registered itself and whose registration access token
// this is, else ErrUnauthenticated.
func (r *Registry) Registered(ctx context.Context, id, token string) (Client, error) {
	c, err := r.Client(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && !c.HasToken(token):
		return Client{}, ErrUnauthenticated
	case err != nil:
		return Client{}, err
	}
	return c, nil
}

// MarkUsed remembers that a client that registered itself was used. It writes once in the
// life of such a client, and never for another.
func (r *Registry) MarkUsed(ctx context.Context, c Client) error {
	if c.Registration == nil || c.Registration.Used {
		return nil
	}
	err := r.store.UpdateClient(ctx, c.ID, func(known *Client) error {
		if known.Registration != nil {
			about := *known.Registration
			about.Used = true
			known.Registration = &about
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) { // removed meanwhile
		return nil
	}
	return err
}

// RemoveUnused removes the clients that registered themselves before that time and were
// never used, and returns their IDs, also beside an error.
func (r *Registry) RemoveUnused(ctx context.Context, before time.Time) ([]string, error) {
	stored, err := r.store.Clients(ctx)
	if err != nil {
		return nil, err
	}
	unused := func(c Client) error { return unusedSince(c, before) }
	var removed []string
	for _, c := range stored {
		if unused(c) != nil {
			continue
		}
		switch err := r.store.DeleteClientIf(ctx, c.ID, unused); {
		case errors.Is(err, ErrNotFound) || errors.Is(err, ErrUsed):
		case err != nil:
			return removed, err
		default:
			removed = append(removed, c.ID)
		}
	}
	if removed != nil {
		r.forgetOrigins()
	}
	return removed, nil
}

// Bounds of initial access tokens.
const (
	maxInitialUses = 10_000
	maxInitialLife = 366 * 24 * time.Hour
)

// NewInitialToken makes an initial access token and returns it with its text, which cannot
// be read again. The error wraps FieldErrors if something is out of bounds.
func NewInitialToken(note string, life time.Duration, uses int) (InitialToken, string, error) {
	var invalid FieldErrors
	if life < time.Minute || life > maxInitialLife {
		invalid = append(invalid, FieldError{Field: "expires_in", Reason: fmt.Sprintf("must be between 1m and %s (got %s)", maxInitialLife, life)})
	}
	if uses < 1 || uses > maxInitialUses {
		invalid = append(invalid, FieldError{Field: "uses", Reason: fmt.Sprintf("must be between 1 and %d (got %d)", maxInitialUses, uses)})
	}
	if reason := checkText(note); reason != "" {
		invalid = append(invalid, FieldError{Field: "note", Reason: reason})
	}
	if invalid != nil {
		return InitialToken{}, "", invalid
	}
	text := keys.RandomText(32)
	now := time.Now()
	t := InitialToken{Hash: HashSecret(text), ID: keys.RandomText(8), Note: note, Created: now, Expires: now.Add(life), Left: uint32(uses)}
	return t, text, nil
}

// AddInitialToken stores a token of NewInitialToken, which is valid from then on.
func (r *Registry) AddInitialToken(ctx context.Context, t InitialToken) error {
	return r.store.CreateInitialToken(ctx, t)
}

// InitialTokenOf returns the token with this text, or ErrInitialToken.
func (r *Registry) InitialTokenOf(ctx context.Context, text string) (InitialToken, error) {
	return r.store.InitialToken(ctx, HashSecret(text))
}

// InitialTokens returns all initial access tokens that have not expired.
func (r *Registry) InitialTokens(ctx context.Context) ([]InitialToken, error) {
	return r.store.InitialTokens(ctx)
}

// RemoveInitialToken removes the token with this ID, or returns ErrInitialToken. Clients
// that were registered with it stay.
func (r *Registry) RemoveInitialToken(ctx context.Context, id string) error {
	all, err := r.store.InitialTokens(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.ID == id {
			return r.store.DeleteInitialToken(ctx, t.Hash)
		}
	}
	return ErrInitialToken
}

// SpendOnRegistration takes what a try to register costs.
func (r *Registry) SpendOnRegistration(ctx context.Context, spend limit.Spend) error {
	return r.store.Spend(ctx, spend, time.Now())
}
