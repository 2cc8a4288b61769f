// Package provider is the OpenID Provider: its endpoints, their rules and the
// tokens that they give.
//
//	authorize.go, check.go    the authorization endpoint
//	flow.go, onetap.go        what pages may do with a sign-in (Flow)
//	challenge.go, tries.go    what a browser must solve, and how many tries it has
//	consent.go                the question before a third party's code
//	account.go and so on      the account page
//	guard.go, cors.go         what every direct endpoint has in common
//	server.go                 the library's op.Server, over our stores
//	token.go, idtoken.go      code and refresh token for tokens
//	exchange.go               a native application's code of Truecaller for tokens
//	userinfo.go, inspect.go   userinfo, introspection, revocation
//	logout.go                 RP-initiated logout
//	discovery.go, jwks.go     the documents
//
// How the phone is asked is package login's, what a person sees is Pages'. This
// package alone imports the library's op.
package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/account"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller"
)

// ACR is the authentication context of every sign-in: approved on the phone
// that has the number (OpenID Connect Core §2).
const ACR = "urn:calleridp:acr:phone-approval"

// Keys signs, and checks what was signed here. *keys.Ring is one.
type Keys interface {
	// Sign makes a JWS in compact form with the active key of alg.
	Sign(alg, typ string, payload []byte) (string, error)
	// Verify returns the payload of a JWS that one of the published keys made.
	Verify(compact string) (payload []byte, err error)
	// JWKS is the public keys as a JWK set.
	JWKS() []byte
	// Algorithms are those that Sign knows.
	Algorithms() []string
}

// Attempts moves sign-in attempts. *login.Engine is one.
type Attempts interface {
	Start(ctx context.Context, s login.Start) (login.Attempt, error)
	StartOneTap(ctx context.Context, s login.StartOneTap) (login.Attempt, error)
	Get(ctx context.Context, id login.ID, browser string) (login.Attempt, error)
	Finish(ctx context.Context, id login.ID, browser, replaces string, made func(login.Attempt) (session.Session, grant.Code, error)) (login.Attempt, error)
	Native(ctx context.Context, s login.StartNative, made func(login.Attempt, truecaller.Profile) grant.Redemption) (login.Attempt, error)
	Cancel(ctx context.Context, id login.ID, browser string) error
	Abandon(ctx context.Context, id login.ID, browser string, why login.Reason) error
	Watch(id login.ID, browser string) login.Watcher
	AgainAt(a login.Attempt) time.Time
	NetworkTries(ctx context.Context, network string, solved bool) (login.Tries, error)
}

// Lifetimes are how long things are good. Zero means the default.
type Lifetimes struct {
	Request      time.Duration // the sign-in page, from opening to sending; default 1 h
	Code         time.Duration // default 60 s
	AccessToken  time.Duration // default 1 h
	IDToken      time.Duration // default 1 h, at least 5 min
	RefreshIdle  time.Duration // a refresh token that is not used; default 30 days
	RefreshMax   time.Duration // a refresh family, from the sign-in on; default 180 days
	RefreshGrace time.Duration // a refresh token after its use; default 45 s
	Session      time.Duration // a signed-in browser; default 24 h
}

// minIDToken keeps consumers with a clock of their own, or a slow network, from
// seeing a token expire on arrival.
const minIDToken = 5 * time.Minute

func (l *Lifetimes) complete() error {
	for _, life := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
		least time.Duration
	}{
		{"Request", &l.Request, time.Hour, time.Minute},
		{"Code", &l.Code, time.Minute, time.Second},
		{"AccessToken", &l.AccessToken, time.Hour, time.Minute},
		{"IDToken", &l.IDToken, time.Hour, minIDToken},
		{"RefreshIdle", &l.RefreshIdle, 30 * 24 * time.Hour, time.Minute},
		{"RefreshMax", &l.RefreshMax, 180 * 24 * time.Hour, time.Minute},
		{"RefreshGrace", &l.RefreshGrace, 45 * time.Second, time.Second},
		{"Session", &l.Session, 24 * time.Hour, time.Minute},
	} {
		if *life.value == 0 {
			*life.value = life.usual
		}
		if *life.value < life.least {
			return fmt.Errorf("provider: lifetime %s is %s; it must be at least %s", life.name, *life.value, life.least)
		}
	}
	return nil
}

// Config is what a Provider needs. Everything is required unless it says so.
type Config struct {
	// Issuer is scheme, host and port, without a path or a trailing slash.
	// Clients compare it byte by byte (OpenID Connect Discovery §4.3).
	Issuer string

	Engine  Attempts
	Pages   Pages
	Ring    Keys
	Master  *keys.Master
	Clients *client.Registry

	Grants   grant.Store
	Sessions session.Store
	People   subject.Store
	Consents consent.Store
	Accounts account.Store

	Lifetimes     Lifetimes
	DefaultRegion string                    // for phone numbers, ISO 3166-1 alpha-2; "" for none
	Countries     []string                  // regions that the list of countries starts with, for clients that name none
	Apps          map[string]truecaller.App // by App.ID; those of the engine
	TruecallerApp string                    // ID of the Truecaller app of clients that name none
	UILocales     []string                  // languages of the pages, for discovery; may be empty
	Cookies       Cookies
	// Country tells the country of a network, as limit.NetworkOf writes it: ISO
	// 3166-1 alpha-2, "" when it does not know. nil: nobody knows.
	Country func(network string) string

	// ClientAddr is the address of the person's browser, behind whatever proxies
	// are trusted. nil: the address of the connection.
	ClientAddr func(*http.Request) netip.Addr

	// Challenge says when browsers must solve a challenge before a phone is asked;
	// "": never. ChallengeBits is its difficulty, the zero bits to be found;
	// default 18.
	Challenge     ChallengeMode
	ChallengeBits int

	Logger *slog.Logger
	Audit  *slog.Logger // nil: Logger

	// Dev shows developers on error pages what was wrong with their request.
	Dev bool
}

// Provider serves the protocol's endpoints, and is the Flow of the pages. It is
// safe for concurrent use and keeps nothing of its own.
type Provider struct {
	Config
	lives     grant.Lives
	discovery document
	jwks      jwksCache
	sameSite  *http.CrossOriginProtection
}

var _ Flow = (*Provider)(nil)

// New checks the configuration and makes a provider. There is nothing to close.
func New(c Config) (*Provider, error) {
	switch {
	case c.Engine == nil || c.Pages == nil || c.Ring == nil || c.Master == nil || c.Clients == nil:
		return nil, errors.New("provider: Engine, Pages, Ring, Master and Clients are required")
	case c.Grants == nil || c.Sessions == nil || c.People == nil || c.Consents == nil || c.Accounts == nil || c.Logger == nil:
		return nil, errors.New("provider: Grants, Sessions, People, Consents, Accounts and Logger are required")
	}
	if _, ok := c.Apps[c.TruecallerApp]; !ok {
		return nil, fmt.Errorf("provider: the Truecaller app %q is not among the Apps", c.TruecallerApp)
	}
	if err := CheckIssuer(c.Issuer); err != nil {
		return nil, fmt.Errorf("provider: issuer %w", err)
	}
	if err := c.Lifetimes.complete(); err != nil {
		return nil, err
	}
	if err := c.checkChallenge(); err != nil {
		return nil, err
	}
	if c.ClientAddr == nil {
		c.ClientAddr = ConnectionAddr
	}
	if c.Audit == nil {
		c.Audit = c.Logger
	}
	p := &Provider{Config: c, sameSite: http.NewCrossOriginProtection()}
	if err := p.sameSite.AddTrustedOrigin(c.Issuer); err != nil {
		return nil, fmt.Errorf("provider: issuer: %w", err)
	}
	p.lives = grant.Lives{
		Code: c.Lifetimes.Code, AccessToken: c.Lifetimes.AccessToken,
		RefreshIdle: c.Lifetimes.RefreshIdle, RefreshMax: c.Lifetimes.RefreshMax, RefreshGrace: c.Lifetimes.RefreshGrace,
	}
	var err error
	p.discovery, err = p.newDiscovery()
	return p, err
}

// CheckIssuer returns why an issuer is refused, nil if it is not. The error's text
// begins with the issuer.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not a URL like https://id.example.com", issuer)
	case strings.HasSuffix(issuer, "/"):
		return fmt.Errorf("%q ends in a slash; clients compare it byte by byte, so remove the trailing slash", issuer)
	case issuer != u.Scheme+"://"+u.Host:
		return fmt.Errorf("%q must be scheme, host and port only", issuer)
	case u.Scheme == "http" && !truecaller.IsLoopback(u.Hostname()):
		return fmt.Errorf("%q is plain http, which is accepted on loopback only", issuer)
	case issuer != strings.ToLower(issuer):
		return fmt.Errorf("%q has upper case letters; browsers and clients write it in lower case", issuer)
	}
	return nil
}

// correlated logs the cause of a failure that nobody outside may see, and
// returns the word that connects their answer with the log (invariant 10).
func (p *Provider) correlated(ctx context.Context, what string, err error) string {
	id := NewSecret()[:12]
	level := slog.LevelError
	if ctx.Err() != nil { // the browser or client went away
		level = slog.LevelInfo
	}
	p.Logger.LogAttrs(ctx, level, what, slog.String("correlation", id), slog.Any("error", err))
	return id
}

// oops shows the error page for a failure of our own.
func (p *Provider) oops(w http.ResponseWriter, r *http.Request, err error) {
	p.errorPage(w, r, ErrorView{Kind: ErrorInternal, Status: http.StatusInternalServerError,
		Correlation: p.correlated(r.Context(), "a page failed", err)})
}

// errorPage shows an error page. Detail stays at home unless in development.
func (p *Provider) errorPage(w http.ResponseWriter, r *http.Request, v ErrorView) {
	if v.Correlation == "" {
		v.Correlation = NewSecret()[:12]
		p.Logger.LogAttrs(r.Context(), slog.LevelInfo, "request refused", slog.String("correlation", v.Correlation),
			slog.String("kind", string(v.Kind)), slog.String("path", r.URL.Path), slog.String("detail", v.Detail))
	}
	if !p.Dev {
		v.Detail = ""
	}
	if v.Status == 0 {
		v.Status = http.StatusBadRequest
	}
	noStore(w)
	p.Pages.Error(w, r, v)
}

// noStore keeps an answer out of every cache (RFC 6749 §5.1, OpenID Connect
// Core §3.1.3.3).
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}
