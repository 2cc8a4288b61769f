// SPDX-License-Identifier: Apache-2.0

// Package provider is the OpenID Provider. It assembles the rooms of the protocol
// and mounts their paths; it holds no rule of the protocol itself.
//
//	endpoint/     what all endpoints have in common
//	authorize/    the authorization endpoint, and Flow: what pages may do with a sign-in
//	clientauth/   who calls a direct endpoint
//	token/        the token endpoint; userinfo, introspection, revocation
//	logout/       RP-initiated and front-channel logout
//	checksession/ the page that tells clients' pages of changes
//	backchannel/  what tells applications that a session has ended
//	logo/         the logos of clients
//	account/      the account page
//	registration/ clients that register themselves
//	deviceflow/   sign-in on devices without a browser
//	discovery/    the metadata and the keys
//	idtoken/      ID tokens, and sub as each client knows it
//
// The domain, which knows no HTTP:
//
//	login/        the attempt                session/   browser sessions
//	grant/        codes and tokens           client/    relying parties
//	claims/       profile to claims          subject/   whose number it is
//	limit/        locks and rate limits      consent/   what users allowed
//	notify/       what clients are told in the background
//
// admin/ is the operators' API.
package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"calleridp/keys"
	"calleridp/provider/account"
	"calleridp/provider/audit"
	"calleridp/provider/authorize"
	"calleridp/provider/backchannel"
	"calleridp/provider/checksession"
	"calleridp/provider/client"
	"calleridp/provider/clientauth"
	"calleridp/provider/clientkeys"
	"calleridp/provider/consent"
	"calleridp/provider/deviceflow"
	"calleridp/provider/discovery"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/idtoken"
	"calleridp/provider/logo"
	"calleridp/provider/logout"
	"calleridp/provider/notify"
	"calleridp/provider/registration"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/provider/token"
	"calleridp/provider/transmitter"
	"calleridp/truecaller"

	"github.com/go-chi/chi/v5"
)

// Keys signs, and checks what was signed here. *keys.Ring is one.
type Keys interface {
	idtoken.Keys
	discovery.Keys
}

// Engine moves sign-in attempts. *login.Engine is one.
type Engine interface {
	authorize.Attempts
	token.Native
}

// Fetcher reads what clients publish. *fetch.Client is one.
type Fetcher interface {
	authorize.Fetcher
	clientkeys.Fetcher
	logo.Fetcher
	registration.Fetcher
	backchannel.Poster
	transmitter.Poster
}

// Pages draws everything that a user sees. *ui.UI is one.
type Pages interface {
	authorize.Pages
	logout.Pages
	checksession.Pages
	account.Pages
	deviceflow.Pages
	endpoint.ErrorPages
}

// Config is what a Provider needs. Everything is required unless it says so.
type Config struct {
	// Issuer is scheme, host and port, without a path or a trailing slash.
	// Clients compare it byte by byte (OpenID Connect Discovery §4.3).
	Issuer string

	Engine  Engine
	Pages   Pages
	Ring    Keys
	Master  *keys.Master
	Clients *client.Registry

	Grants     grant.Store
	Sessions   session.Store
	People     subject.Store
	Consents   consent.Store
	Records    subject.RecordStore
	Assertions client.Assertions
	Notices    notify.Store
	Streams    signals.Store
	Fetch      Fetcher // reads what clients publish, and tells them things

	Notified notify.Observer // counts notices; if nil, none are counted

	Devices    grant.DeviceStore
	Budgets    deviceflow.Budgets
	DeviceFlow deviceflow.Policy // the zero value: there is no device flow

	// Signals says whether clients may have streams of events.
	Signals Signals

	Registration registration.Policy // of clients that register themselves; the zero value: none may

	Lifetimes     Lifetimes
	DefaultRegion string          // of phone numbers, ISO 3166-1 alpha-2; "" for none
	Countries     []string        // regions that the list of countries starts with, for clients that name none
	Apps          truecaller.Apps // those of the engine
	UILocales     []string        // languages of the pages, for discovery; may be empty
	Cookies       endpoint.Cookies
	// Country returns the country of a network, as limit.NetworkOf writes it: ISO
	// 3166-1 alpha-2, "" for unknown. nil: all are unknown.
	Country func(network string) string

	// ResponseTypes are what clients may be allowed to ask the authorization endpoint
	// for; empty: code.
	ResponseTypes []client.ResponseType

	RequestObjects client.RequestObjectMode // which request objects are accepted; the zero value: signed ones

	// UnsignedIDTokens says that clients may be registered for ID tokens without a
	// signature (id_token_signed_response_alg none).
	UnsignedIDTokens bool

	// ClientAddr is the address of the user's browser, behind whatever proxies are
	// trusted. nil: the address of the connection.
	ClientAddr endpoint.ClientAddr

	// Challenge says when browsers must solve a challenge before a push; "": never.
	// ChallengeBits is its difficulty, in leading zero bits; default 18.
	Challenge     authorize.ChallengeMode
	ChallengeBits int

	Log   *slog.Logger
	Audit audit.Recorder
	// Steps is notified of steps within requests. If nil, steps are not reported.
	Steps endpoint.Steps

	// Dev shows developers on error pages what was wrong with their request.
	Dev bool
}

// Signals are the settings of the transmitter of signals.
type Signals struct{ Enabled bool }

// Provider serves the protocol's endpoints. It is safe for concurrent use and
// holds no state.
type Provider struct {
	browser   *endpoint.Browser
	authorize *authorize.Endpoint
	flow      *authorize.Flow
	logout    *logout.Endpoint
	check     *checksession.Endpoint
	logos     *logo.Logos
	account   *account.Account
	token     *token.Endpoint
	register  *registration.Endpoint
	devices   *deviceflow.Endpoint
	documents *discovery.Documents
	notices   *notify.Deliverer
	streams   *transmitter.Transmitter
}

// New checks the configuration and builds the rooms. There is nothing to close.
func New(cfg Config) (*Provider, error) {
	switch {
	case cfg.Engine == nil || cfg.Pages == nil || cfg.Ring == nil || cfg.Master == nil || cfg.Clients == nil:
		return nil, errors.New("provider: Engine, Pages, Ring, Master and Clients are required")
	case cfg.Grants == nil || cfg.Sessions == nil || cfg.People == nil || cfg.Consents == nil || cfg.Records == nil || cfg.Assertions == nil || cfg.Notices == nil || cfg.Streams == nil || cfg.Fetch == nil:
		return nil, errors.New("provider: Grants, Sessions, People, Consents, Records, Assertions, Notices, Streams and Fetch are required")
	case cfg.DeviceFlow.Enabled && (cfg.Devices == nil || cfg.Budgets == nil):
		return nil, errors.New("provider: Devices and Budgets are required for DeviceFlow")
	case cfg.Log == nil || cfg.Audit == nil:
		return nil, errors.New("provider: Log and Audit are required")
	}
	if err := CheckIssuer(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("provider: issuer %w", err)
	}
	if err := cfg.Lifetimes.complete(); err != nil {
		return nil, err
	}
	if cfg.ClientAddr == nil {
		cfg.ClientAddr = endpoint.ConnectionAddr
	}
	failures := endpoint.Failures{Log: cfg.Log}
	browser, err := endpoint.NewBrowser(cfg.Issuer, cfg.Pages, failures, cfg.Dev)
	if err != nil {
		return nil, err
	}
	logos := logo.New(logo.Config{
		Fetch:     cfg.Fetch,
		Clients:   cfg.Clients,
		Strangers: cfg.Registration.ShowLogos,
		Log:       cfg.Log,
	})
	browser.ShowLogos(logos)
	published := clientkeys.New(cfg.Fetch, cfg.Log)
	direct := endpoint.NewDirect(cfg.Clients, failures)
	tokens := idtoken.New(idtoken.Config{
		Issuer:   cfg.Issuer,
		Keys:     cfg.Ring,
		Clients:  published,
		Master:   cfg.Master,
		Lifetime: cfg.Lifetimes.IDToken,
		Audit:    cfg.Audit,
		Unsigned: cfg.UnsignedIDTokens,
	})
	p := &Provider{browser: browser, logos: logos}

	p.authorize, p.flow, err = authorize.New(authorize.Config{
		Issuer:   cfg.Issuer,
		Browser:  browser,
		Pages:    cfg.Pages,
		Cookies:  cfg.Cookies,
		Addr:     cfg.ClientAddr,
		Master:   cfg.Master,
		Tokens:   tokens,
		Attempts: cfg.Engine,
		Clients:  cfg.Clients,
		Grants:   cfg.Grants,
		Sessions: cfg.Sessions,
		People:   cfg.People,
		Consents: cfg.Consents,
		Apps:     cfg.Apps,
		Lifetimes: authorize.Lifetimes{
			Request: cfg.Lifetimes.Request,
			Code:    cfg.Lifetimes.Code,
			Access:  cfg.Lifetimes.AccessToken,
			Session: cfg.Lifetimes.Session,
		},
		Region:        cfg.DefaultRegion,
		Countries:     cfg.Countries,
		Country:       cfg.Country,
		Here:          client.Deployment{ResponseTypes: cfg.ResponseTypes, StrangersWithoutPKCE: cfg.Registration.WithoutPKCE},
		Failures:      failures,
		Steps:         cfg.Steps,
		Challenge:     cfg.Challenge,
		ChallengeBits: cfg.ChallengeBits,
		Audit:         cfg.Audit,

		RequestObjects: cfg.RequestObjects,
		Keys:           published,
		Fetch:          cfg.Fetch,
		Log:            cfg.Log,
	})
	if err != nil {
		return nil, err
	}

	auth := clientauth.New(clientauth.Config{
		Issuer:     cfg.Issuer,
		Registry:   cfg.Clients,
		Keys:       published,
		Assertions: cfg.Assertions,
		Direct:     direct,
		Addr:       cfg.ClientAddr,
		Audit:      cfg.Audit,
	})
	interval := time.Duration(0)
	if cfg.DeviceFlow.Enabled {
		interval = cfg.DeviceFlow.Interval
	}
	p.token = token.New(token.Config{
		Issuer:         cfg.Issuer,
		Direct:         direct,
		Auth:           auth,
		Devices:        cfg.Devices,
		DeviceInterval: interval,
		Clients:        cfg.Clients,
		Grants:         cfg.Grants,
		People:         cfg.People,
		Native:         cfg.Engine,
		Apps:           cfg.Apps,
		Addr:           cfg.ClientAddr,
		Tokens:         tokens,
		Master:         cfg.Master,
		GrantPolicy:    cfg.Lifetimes.grants(),
		Signals:        cfg.Signals.Enabled,
		Front:          slices.ContainsFunc(cfg.ResponseTypes, func(t client.ResponseType) bool { return client.InFront(string(t)) }),
		Failures:       failures,
		Audit:          cfg.Audit,
		Steps:          cfg.Steps,
	})

	p.logout = logout.New(logout.Config{
		Issuer:   cfg.Issuer,
		Browser:  browser,
		Pages:    cfg.Pages,
		Cookies:  cfg.Cookies,
		Master:   cfg.Master,
		Clients:  cfg.Clients,
		Hints:    tokens,
		Sessions: cfg.Sessions,
		Lifetime: cfg.Lifetimes.Request,
		Log:      cfg.Log,
		Audit:    cfg.Audit,
	})

	p.check = checksession.New(checksession.Config{
		Issuer:  cfg.Issuer,
		Browser: browser,
		Pages:   cfg.Pages,
		Cookies: cfg.Cookies,
		Clients: cfg.Clients,
	})

	p.account = account.New(account.Config{
		Issuer:   cfg.Issuer,
		Browser:  browser,
		Pages:    cfg.Pages,
		Cookies:  cfg.Cookies,
		Master:   cfg.Master,
		SignIn:   p.authorize,
		SignOut:  p.logout,
		Clients:  cfg.Clients,
		Sessions: cfg.Sessions,
		Records:  cfg.Records,
		Audit:    cfg.Audit,
	})

	p.register = registration.New(registration.Config{
		Issuer:   cfg.Issuer,
		Policy:   cfg.Registration,
		Direct:   direct,
		Clients:  cfg.Clients,
		Fetch:    cfg.Fetch,
		Logos:    logos,
		Addr:     cfg.ClientAddr,
		Failures: failures,
		Audit:    cfg.Audit,
	})

	channel := backchannel.New(backchannel.Config{
		Issuer:  cfg.Issuer,
		Keys:    cfg.Ring,
		Tokens:  tokens,
		Clients: cfg.Clients,
		Post:    cfg.Fetch,
		Audit:   cfg.Audit,
		Log:     cfg.Log,
	})
	p.streams = transmitter.New(transmitter.Config{
		Issuer:  cfg.Issuer,
		Enabled: cfg.Signals.Enabled,
		Direct:  direct,
		Keys:    cfg.Ring,
		Master:  cfg.Master,
		Tokens:  tokens,
		Clients: cfg.Clients,
		People:  cfg.People,
		Store:   cfg.Streams,
		Post:    cfg.Fetch,
		Addr:    cfg.ClientAddr,
		Audit:   cfg.Audit,
		Log:     cfg.Log,
	})
	if cfg.Notified == nil {
		cfg.Notified = uncounted{}
	}
	p.notices = notify.NewDeliverer(notify.Config{
		Store:    cfg.Notices,
		Senders:  map[notify.Kind]notify.Sender{notify.Logout: channel, notify.Signal: p.streams},
		Observer: cfg.Notified,
		Log:      cfg.Log,
	})

	p.devices = deviceflow.New(deviceflow.Config{
		Issuer:  cfg.Issuer,
		Policy:  cfg.DeviceFlow,
		Auth:    auth,
		Browser: browser,
		Pages:   cfg.Pages,
		Master:  cfg.Master,
		Clients: cfg.Clients,
		SignIn:  p.authorize,
		Devices: cfg.Devices,
		Grants:  cfg.Grants,
		Budgets: cfg.Budgets,
		Addr:    cfg.ClientAddr,
		Country: cfg.Country,
		Audit:   cfg.Audit,
	})

	p.documents, err = discovery.New(discovery.Config{
		Issuer:    cfg.Issuer,
		Keys:      cfg.Ring,
		UILocales: cfg.UILocales,
		Rooms:     []endpoint.Describer{p.authorize, p.token, p.logout, p.check, channel, p.register, p.devices},
	})
	return p, err
}

// Mount registers the protocol's paths on a router that has others too.
func (p *Provider) Mount(r chi.Router) {
	p.documents.Mount(r)
	p.authorize.Mount(r)
	p.token.Mount(r)
	p.logout.Mount(r)
	p.check.Mount(r)
	p.logos.Mount(r)
	p.account.Mount(r)
	p.register.Mount(r)
	p.devices.Mount(r)
	p.streams.Mount(r)
}

// Run removes clients that registered themselves and were never used, and tells clients
// that sessions have ended, until ctx is done.
func (p *Provider) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { p.register.Run(ctx) })
	running.Go(func() { p.notices.Run(ctx) })
	running.Wait()
}

// uncounted counts no notices.
type uncounted struct{}

func (uncounted) Notified(context.Context, notify.Kind, notify.Outcome, time.Duration) {}

// Handler serves the protocol's paths alone, at the root.
func (p *Provider) Handler() http.Handler {
	r := chi.NewRouter()
	p.Mount(r)
	return r
}
