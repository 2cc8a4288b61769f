// SPDX-License-Identifier: Apache-2.0

// Package console decides who may use the operators' console, and keeps them signed in. The
// pages are in ui/console; what they do goes through provider/admin.
//
//	console.go   the configuration, and who is an operator
//	signin.go    signing in by CallerIdP itself, as a client of this issuer
//	session.go   the signed-in browser, its cookie and the token of its forms
//	exchange.go  the token endpoint, called inside the process
//
// The console is a confidential client with PKCE, which no operator edits. An operator is a
// user whose verified number is on a list of the configuration, and who is the user that
// the number first brought: a number that somebody else gets later opens nothing.
package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"calleridp/keys"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/session"
	"calleridp/truecaller/phone"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// ClientID is the console's own. The registry knows it and lists it nowhere.
const ClientID = "calleridp-console"

// The paths that this package knows, below the console's URL.
const (
	PathHome     = "/console/"
	PathSignIn   = "/console/signin"
	PathCallback = "/console/callback"
)

// Role is what an operator may do.
type Role string

// The roles.
const (
	Admin  Role = "admin"  // everything
	Viewer Role = "viewer" // look at everything, and change nothing

	// Key is no role of the configuration: the operator has an API key, and its scopes.
	Key Role = "API key"
)

// Scopes returns what the role may do.
func (r Role) Scopes() []apikey.Scope {
	kind := "*:read"
	if r == Admin {
		kind = "*"
	}
	scopes, _ := apikey.ParseScopes([]string{kind})
	return scopes
}

// Operator is an entry of the configuration.
type Operator struct {
	Number phone.Number
	Role   Role
}

// Bindings remembers which user was the first to sign in to the console with a number.
// The storage engines implement it.
type Bindings interface {
	// BindOperator stores user for the number unless one is stored already, and returns
	// the stored one. user is not the sub itself.
	BindOperator(ctx context.Context, n phone.Number, user string) (bound string, err error)
}

// Sessions are the users' sessions. The storage engines implement it.
type Sessions interface {
	// Session returns session.ErrNotFound for one that has ended.
	Session(ctx context.Context, id string) (session.Session, error)
	// EndSession ends a session, also one that is not there.
	EndSession(ctx context.Context, id string) (ended session.Session, err error)
}

// APIKeys are the operators' API keys. The storage engines implement it.
type APIKeys interface {
	// APIKey returns apikey.ErrNotFound for one that was removed or has expired.
	APIKey(ctx context.Context, id string) (apikey.Key, error)
}

// Config is what the console needs. All is required.
type Config struct {
	URL       string // of the console's origin, without a path: https://admin.example.com:9443
	Issuer    string
	Operators []Operator // until SetOperators
	Subs      []string   // users who are operators though their number had another user first
	Master    *keys.Master
	Sessions  Sessions
	Bindings  Bindings
	Keys      APIKeys
	Audit     audit.Recorder
	Log       *slog.Logger
	// Algorithms sign ID tokens; the first signs those of the console.
	Algorithms []string
	// Verify checks the signature of an ID token and returns its payload.
	Verify func(compact string) ([]byte, error)
	// Endpoints serves the issuer's paths, for the token request.
	Endpoints http.Handler
}

// Console is the console's door. It is safe for concurrent use and keeps nothing of browsers:
// what it knows of one is sealed in its cookie, and checked with the store.
type Console struct {
	cfg      Config
	who      atomic.Pointer[operators]
	secret   string // of the client, of this process: only this process uses it
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	inside   *http.Client
}

// New returns the console's door.
func New(c Config) (*Console, error) {
	at, err := url.Parse(c.URL)
	if err != nil || at.Host == "" || len(c.Algorithms) == 0 {
		return nil, errors.New("console: no URL of the console, or no algorithm")
	}
	secret := keys.RandomText(32)
	door := &Console{
		cfg:    c,
		secret: secret,
		oauth: oauth2.Config{
			ClientID:     ClientID,
			ClientSecret: secret,
			Endpoint: oauth2.Endpoint{
				AuthURL:   c.Issuer + "/authorize",
				TokenURL:  c.Issuer + "/token",
				AuthStyle: oauth2.AuthStyleInHeader,
			},
			RedirectURL: c.URL + PathCallback,
			Scopes:      []string{oidc.ScopeOpenID, "phone"},
		},
		verifier: oidc.NewVerifier(c.Issuer, keySet(c.Verify), &oidc.Config{ClientID: ClientID, SupportedSigningAlgs: c.Algorithms}),
		inside:   &http.Client{Transport: inside{c.Endpoints}},
	}
	door.SetOperators(c.Operators, c.Subs)
	return door, nil
}

// operators are who may sign in, as the configuration says now.
type operators struct {
	list []Operator
	subs []string
}

// SetOperators replaces Config.Operators and Config.Subs. A session of an operator who is
// no longer on the list ends with the next request.
func (c *Console) SetOperators(list []Operator, subs []string) {
	c.who.Store(&operators{slices.Clone(list), slices.Clone(subs)})
}

// Secure reports whether browsers reach the console over HTTPS. Only calleridp dev does
// without.
func (c *Console) Secure() bool { return isHTTPS(c.cfg.URL) }

// Origin returns the console's own origin.
func (c *Console) Origin() string { return c.cfg.URL }

// Issuer returns the issuer, whose sign-in page the console sends operators to.
func (c *Console) Issuer() string { return c.cfg.Issuer }

// Client returns the console as a client of the issuer, with the secret that this process
// uses.
func (c *Console) Client() client.Client {
	own := client.Client{
		ID:           ClientID,
		Name:         "CallerIdP console",
		RedirectURIs: []string{c.oauth.RedirectURL},
		Scopes:       c.oauth.Scopes,
		IDTokenAlg:   c.cfg.Algorithms[0],
		ScopeClaims:  client.ScopeClaimsInIDToken,
	}
	own.AddSecret(c.secret)
	return own
}

// HasOperators reports whether these are in use already.
func (c *Console) HasOperators(list []Operator, subs []string) bool {
	now := c.who.Load()
	return slices.Equal(now.list, list) && slices.Equal(now.subs, subs)
}

// of returns the entry of a number.
func (o *operators) of(n phone.Number) (Operator, bool) {
	for _, o := range o.list {
		if !n.IsZero() && o.Number.Line() == n.Line() {
			return o, true
		}
	}
	return Operator{}, false
}

// Errors of signing in. The pages say what each means.
var (
	// ErrNotListed: the user's number is not on the list.
	ErrNotListed = errors.New("console: the number is not on the list of operators")
	// ErrAnotherUser: the number is on the list, and belongs to another user than before.
	ErrAnotherUser = errors.New("console: the number belongs to another user than the operator")
	// ErrFlow: the response does not belong to a sign-in that this browser began.
	ErrFlow = errors.New("console: the response belongs to no sign-in of this browser")
	// ErrDeclined: the user or the provider ended the sign-in.
	ErrDeclined = errors.New("console: the sign-in was not completed")
)

// admit decides whether a user with a verified number is an operator: the first one with
// the number, who is remembered, and a user whom the configuration names.
func (c *Console) admit(ctx context.Context, n phone.Number, sub string) (Operator, error) {
	now := c.who.Load()
	o, listed := now.of(n)
	if !listed {
		return Operator{}, ErrNotListed
	}
	if slices.Contains(now.subs, sub) {
		return o, nil
	}
	user := userOf(sub)
	bound, err := c.cfg.Bindings.BindOperator(ctx, o.Number.Line(), user)
	if err != nil {
		return Operator{}, err
	}
	if subtle.ConstantTimeCompare([]byte(bound), []byte(user)) != 1 {
		return Operator{}, ErrAnotherUser
	}
	return o, nil
}

// userOf returns what is stored of a user: nothing that tells the sub after they were
// deleted.
func userOf(sub string) string {
	sum := sha256.Sum256([]byte("calleridp console operator\x00" + sub))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// who is how the audit names an operator.
func who(sub string) string { return "console sub " + sub }

// lifetimes of what the console keeps in cookies.
const (
	flowLife    = 10 * time.Minute
	IdleAfter   = 30 * time.Minute // without a request, a session ends
	LongestLife = 8 * time.Hour    // of a session
	seenEvery   = time.Minute      // the cookie is renewed
)
