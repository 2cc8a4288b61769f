// SPDX-License-Identifier: Apache-2.0

// Package testworld is a whole provider for tests: the rooms of the protocol over
// the real store, engine and keys. Only Truecaller is played by doubles, and pages
// are written down as JSON instead of drawn.
//
//	world.go       World, its configuration and its log
//	fixtures.go    the clients, apps, keys and profile of every World
//	truecaller.go  the doubles of Truecaller
//	pages.go       the pages, as JSON
//	request.go     requests and responses
//	delivered.go   authorization responses, as they reach a client
//	want.go        what tests want of responses, store and log
//	signin.go      a sign-in from authorization request to tokens
//	session.go     what a signed-in browser does
//	native.go      native sign-in by token exchange
//	assertion.go   client assertions
//	deviceflow.go  sign-in on a device without a browser
//	requestobject.go  request objects, and what clients publish
//	sealed.go      sealed forms and challenges
//	broken.go      stores that fail
//
// Only tests import it.
package testworld

import (
	"bytes"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"calleridp/provider"
	"calleridp/provider/audit"
	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/fetch"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/storage/bolt"
	"calleridp/storage/storagetest"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// World is a provider with what is behind it.
type World struct {
	Store    *bolt.Store
	Engine   *login.Engine
	Clients  *client.Registry
	Flow     provider.Flow // what pages may do
	Handler  http.Handler  // the protocol's endpoints
	Provider *provider.Provider
	Phone    *Phone
	Log      *Journal // everything that was logged, the audit included

	t testing.TB
}

// Config is what a World is built from. New fills it in; tests change fields.
type Config struct {
	Provider   provider.Config // New sets Engine and Clients
	Login      login.Config
	Clients    []client.Client
	ClientApps []client.App // the Truecaller apps that clients may name

	// WrapEngine returns the engine that the provider gets. If nil, it gets
	// World.Engine.
	WrapEngine func(*login.Engine) provider.Engine
	// WrapClients returns the store that the registry gets. If nil, it gets World.Store.
	WrapClients func(client.Store) client.Store
}

// New returns a World. It closes its store when the test ends.
func New(t testing.TB, change ...func(*Config)) *World {
	t.Helper()
	log := &Journal{}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	var tells func(clientID string) bool
	store, err := bolt.Open(filepath.Join(t.TempDir(), "store"), Master(), bolt.Options{
		NoSync: true,
		Tells:  func(id string) bool { return tells != nil && tells(id) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	pure := storagetest.Pure(t, store) // what callbacks return does not depend on how often they run
	w := &World{
		t:     t,
		Store: store,
		Phone: &Phone{state: map[phone.Number]string{}},
		Log:   log,
	}
	cfg := Config{
		Provider: provider.Config{
			Issuer:        Issuer,
			Pages:         notebook{},
			Ring:          Ring(),
			Master:        Master(),
			Grants:        pure,
			Sessions:      store,
			People:        store,
			Consents:      pure,
			Records:       store,
			Assertions:    store,
			Notices:       store,
			Streams:       store,
			Devices:       store,
			Budgets:       store,
			Fetch:         fetch.New(fetch.Options{}),
			DefaultRegion: "SE",
			Apps:          truecaller.Apps{ByID: Apps(), Default: "one"},
			Cookies:       endpoint.Cookies{Secure: true},
			Log:           logger,
			Audit:         audit.Log(logger, nil),
			Dev:           true,
			ChallengeBits: authorize.MinChallengeBits, // tests solve many, under the race detector too
		},
		Login: login.Config{
			Store:  pure,
			Inbox:  store,
			Pusher: w.Phone,
			Apps:   Apps(),
			Limits: login.Limits{Number: Wide, Network: Wide, Client: Wide, Deployment: Wide},
			Log:    logger,
			Audit:  audit.Log(logger, nil),
		},
		Clients:    Clients(),
		ClientApps: []client.App{{ID: "one"}, {ID: "tap"}},
	}
	for _, c := range change {
		c(&cfg)
	}
	tells = client.Told(cfg.Clients)
	if w.Engine, err = login.New(cfg.Login); err != nil {
		t.Fatal(err)
	}
	var clients client.Store = store
	if cfg.WrapClients != nil {
		clients = cfg.WrapClients(store)
	}
	if w.Clients, err = client.NewRegistry(cfg.Clients, clients, client.Deployment{
		Apps:           cfg.ClientApps,
		Algorithms:     cfg.Provider.Ring.Algorithms(),
		Unsigned:       cfg.Provider.UnsignedIDTokens,
		ResponseTypes:  cfg.Provider.ResponseTypes,
		RequestObjects: cfg.Provider.RequestObjects,
		DeviceFlow:     cfg.Provider.DeviceFlow.Enabled,
		Signals:        cfg.Provider.Signals.Enabled,
	}); err != nil {
		t.Fatal(err)
	}
	cfg.Provider.Clients, cfg.Provider.Engine = w.Clients, w.Engine
	if cfg.WrapEngine != nil {
		cfg.Provider.Engine = cfg.WrapEngine(w.Engine)
	}
	op, err := provider.New(cfg.Provider)
	if err != nil {
		t.Fatal(err)
	}
	w.Flow, w.Handler, w.Provider = op.Flow(), op.Handler(), op
	return w
}

// In returns the same World for a subtest: what goes wrong fails t.
func (w *World) In(t testing.TB) *World {
	in := *w
	in.t = t
	return &in
}

// Wide is a limit that no test reaches.
var Wide = limit.Rate{Burst: 10000, Period: time.Minute}

// AddClient registers a client and returns it with its secret.
func (w *World) AddClient(c client.Client) (added client.Client, secret string) {
	w.t.Helper()
	added, secret, err := w.Clients.Add(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	return added, secret
}

// RemoveClient removes a registered client.
func (w *World) RemoveClient(id string) {
	w.t.Helper()
	if err := w.Clients.Remove(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
}

// Journal holds what was logged.
type Journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

// Text returns what was logged, a line of JSON for each record.
func (j *Journal) Text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// Reset forgets what was logged.
func (j *Journal) Reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buf.Reset()
}
