// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/idtoken"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller"
)

// Attempts moves sign-in attempts. *login.Engine is one.
type Attempts interface {
	Start(ctx context.Context, r login.PushRequest) (login.Attempt, error)
	StartOneTap(ctx context.Context, r login.OneTapRequest) (login.Attempt, error)
	Get(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, error)
	Recall(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, error)
	Open(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, error)
	Heard(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, error)
	Finish(ctx context.Context, r login.FinishRequest, signIn func(login.Attempt, *consent.Consent) (login.SignIn, error)) (login.SignIn, error)
	HasLive(ctx context.Context, browser login.BrowserSecret, except login.ID) (bool, error)
	Cancel(ctx context.Context, id login.ID, browser login.BrowserSecret) error
	Abandon(ctx context.Context, id login.ID, browser login.BrowserSecret, why login.Reason) error
	Watch(ctx context.Context, id login.ID, browser login.BrowserSecret) login.Watcher
	AgainAt(a login.Attempt) time.Time
	UnsolvedAt(a login.Attempt) time.Time
	triesLeft
}

// Flow is what the pages' handlers may do with a sign-in. It holds no state: the
// sealed request and the stored attempt are the only memory of a sign-in.
type Flow struct {
	*room
	attempts Attempts
	lifetime Lifetimes
	country  func(network string) string
	master   *keys.Master
	devices  devices
	audit    audit.Recorder
}

// Lifetimes are how long things are valid. Each is required.
type Lifetimes struct {
	Request time.Duration // a page whose form holds a sealed request, from opening to sending
	Code    time.Duration
	Access  time.Duration // an access token of the authorization endpoint
	Session time.Duration // a signed-in browser
}

// Config is what the room needs. Everything is required unless it says so.
type Config struct {
	Issuer    string
	Browser   *endpoint.Browser
	Pages     Pages
	Cookies   endpoint.Cookies
	Addr      endpoint.ClientAddr
	Master    *keys.Master
	Tokens    *idtoken.Issuer
	Attempts  Attempts
	Clients   Clients
	Grants    grant.Store
	Sessions  session.Store
	People    subject.Store
	Consents  consent.Store
	Apps      truecaller.Apps
	Lifetimes Lifetimes

	Region    string   // default region of phone numbers, ISO 3166-1 alpha-2; "" for none
	Countries []string // regions that the list of countries starts with; may be empty
	// Country returns the country of a network, as limit.NetworkOf writes it: ISO
	// 3166-1 alpha-2, "" for unknown. nil: all are unknown.
	Country func(network string) string

	Here client.Deployment // only its response types and StrangersWithoutPKCE

	Challenge     ChallengeMode // "": never
	ChallengeBits int           // difficulty, in leading zero bits; 0: 18

	Audit    audit.Recorder
	Failures endpoint.Failures
	Steps    endpoint.Steps // may be nil

	RequestObjects client.RequestObjectMode
	Keys           Keys    // of clients that sign request objects
	Fetch          Fetcher // reads request objects that clients publish
	Log            *slog.Logger
}

// New returns the authorization endpoint, and the Flow of the pages.
func New(cfg Config) (*Endpoint, *Flow, error) {
	switch {
	case cfg.Attempts == nil || cfg.Pages == nil || cfg.Clients == nil:
		return nil, nil, errors.New("authorize: Attempts, Pages and Clients are required")
	case cfg.Grants == nil || cfg.Sessions == nil || cfg.People == nil || cfg.Consents == nil:
		return nil, nil, errors.New("authorize: Grants, Sessions, People and Consents are required")
	case cfg.Keys == nil || cfg.Fetch == nil || cfg.Log == nil:
		return nil, nil, errors.New("authorize: Keys, Fetch and Log are required")
	}
	if _, err := cfg.Apps.Of(""); err != nil {
		return nil, nil, fmt.Errorf("authorize: %w", err)
	}
	challenges, err := newChallenges(cfg.Challenge, cfg.ChallengeBits, cfg.Master, cfg.Attempts)
	if err != nil {
		return nil, nil, err
	}
	clients := clients{registry: cfg.Clients, apps: cfg.Apps, here: cfg.Here, issuer: cfg.Issuer}
	later := func(parts ...[]byte) [32]byte { return cfg.Master.MAC(keys.PurposeLaterCode, parts...) }
	r := &room{
		browser:   cfg.Browser,
		pages:     cfg.Pages,
		cookies:   cfg.Cookies,
		addr:      cfg.Addr,
		clients:   clients,
		views:     views{cfg.Browser},
		objects:   newObjects(cfg),
		hints:     cfg.Tokens,
		sessions:  sessions{store: cfg.Sessions, people: cfg.People, hints: cfg.Tokens},
		states:    session.NewStates(cfg.Master),
		steps:     cfg.Steps,
		responses: responses{issuer: cfg.Issuer},
		front:     front{tokens: cfg.Tokens, people: cfg.People, clients: cfg.Clients, access: cfg.Lifetimes.Access, failures: cfg.Failures},
		codes: codes{
			store:    cfg.Grants,
			lifetime: cfg.Lifetimes.Code,
			access:   cfg.Lifetimes.Access,
			later:    later,
			audit:    cfg.Audit,
		},
		consents:  consents{store: cfg.Consents, people: cfg.People, master: cfg.Master, lifetime: cfg.Lifetimes.Request, views: views{cfg.Browser}, audit: cfg.Audit},
		greetings: greetings{master: cfg.Master, people: cfg.People},
		form: signInForm{
			sealer:     sealer{master: cfg.Master, lifetime: cfg.Lifetimes.Request},
			clients:    clients,
			links:      links{master: cfg.Master},
			challenges: challenges,
			tries:      cfg.Attempts,
			views:      views{cfg.Browser},
			region:     cfg.Region,
			countries:  cfg.Countries,
		},
	}
	flow := &Flow{
		room:     r,
		attempts: cfg.Attempts,
		lifetime: cfg.Lifetimes,
		country:  cfg.Country,
		master:   cfg.Master,
		devices:  devices{master: cfg.Master, people: cfg.People},
		audit:    cfg.Audit,
	}
	return &Endpoint{room: r}, flow, nil
}
