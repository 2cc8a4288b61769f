package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/cmd/calleridp/metrics"
	"calleridp/keys"
	"calleridp/provider"
	"calleridp/provider/admin"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/storage/bolt"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
	"calleridp/ui"
	"calleridp/ui/page"

	"github.com/go-chi/chi/v5"
)

// server is the whole program, built and not yet listening.
type server struct {
	handler http.Handler // what the world sees
	admin   http.Handler // what operators see, on a Unix socket
	metrics http.Handler // what Prometheus sees, on an address of its own

	store      *bolt.Store
	drain      func()      // ends the live connections of waiting pages
	draining   atomic.Bool // no longer ready for new requests
	background []func(context.Context)
}

// For machines that watch over the server.
const (
	pathHealth = "/healthz" // 200 as long as the process answers
	pathReady  = "/readyz"  // 200 when it can do its work, else 503

	pathMetrics = "/metrics"
)

// build puts all parts together. Everything that the program is made of is in
// this function.
func build(ctx context.Context, s settings, log *slog.Logger, development bool) (*server, error) {
	if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	store, err := bolt.Open(filepath.Join(s.DataDir, "calleridp.db"), s.master, bolt.Options{Log: log})
	if err != nil {
		return nil, err
	}
	built := false
	defer func() {
		if !built {
			store.Close()
		}
	}()
	if err := store.PinIssuer(ctx, s.Issuer); err != nil {
		return nil, err
	}
	ring, err := keys.OpenRing(ctx, keys.Config{
		Store: store, Master: s.master, Log: log,
		RotateEvery: time.Duration(s.Keys.RotateEvery), PublishBefore: time.Duration(s.Keys.PublishBefore),
		RetireFor: retireFor(s),
	})
	if err != nil {
		return nil, err
	}

	counting := metrics.New(versions())
	addresses := clientAddresses{trusted: s.proxies}
	apps, registered := map[string]truecaller.App{}, []client.App{}
	for _, app := range s.apps {
		apps[app.ID], registered = app, append(registered, client.App{ID: app.ID, Native: app.NativeClientID != ""})
	}
	outgoing := truecaller.NewClient(truecaller.Options{Timeout: time.Duration(s.Truecaller.Timeout), Log: log, Observer: counting})
	auditLog := log.With("log", "audit")
	recorder := audit.Log(auditLog)
	challenge, reserve := challengeMode(s.Limits)
	var receiver *truecaller.Receiver
	limits := login.Limits{
		Number: limit.Rate(s.Limits.Number), Network: limit.Rate(s.Limits.Network),
		Client: limit.Rate(s.Limits.Client), Deployment: limit.Rate(s.Limits.Deployment), Reserve: reserve,
	}
	engine, err := login.New(login.Config{
		Store: store, Inbox: store, Pusher: outgoing, Exchanger: outgoing, Apps: apps,
		Life: time.Duration(s.Lifetimes.Attempt), Lock: time.Duration(s.Limits.Lock), CoolDown: time.Duration(s.Limits.CoolDown),
		Limits: limits,
		Policy: subject.Policy{ReuseAfter: time.Duration(s.Subject.ReuseAfter)},
		// The two know each other: the engine decides what callbacks mean.
		Arrived: func(ctx context.Context, nonce string) { receiver.Arrived(ctx, nonce) },
		Log:     log, Audit: recorder, Observer: counting,
	})
	if err != nil {
		return nil, err
	}
	receiver, err = truecaller.NewReceiver(endpoint.PathCallback, truecaller.ReceiverConfig{
		Apps: apps, Inbox: store, Recipient: engine, Client: outgoing, Log: log,
		From: func(r *http.Request) string { return addresses.of(r).String() }, Observer: counting,
	})
	if err != nil {
		return nil, err
	}

	secrets := newCallbackSecrets(s, receiver, store, log)
	if err := secrets.start(ctx); err != nil {
		return nil, err
	}

	registry, err := client.NewRegistry(s.clients, store, registered)
	if err != nil {
		return nil, err
	}
	cookies := endpoint.Cookies{Secure: isHTTPS(s.Issuer)}
	var overrides fs.FS
	if s.UI.OverridesDir != "" {
		overrides = os.DirFS(s.UI.OverridesDir)
	}
	pages, err := ui.New(ui.Config{
		Issuer:         s.Issuer,
		Cookies:        cookies,
		ClientAddr:     addresses.of,
		Countries:      countries(),
		Groups:         phone.Groups(),
		DeploymentName: s.UI.Name,
		AppName:        s.apps[0].Name,
		Brand:          s.brand,
		Overrides:      overrides,
		Simulation:     development,
		ShowDetail:     development,
		Log:            log,
	})
	if err != nil {
		return nil, err
	}
	op, err := provider.New(provider.Config{
		Issuer: s.Issuer, Engine: engine, Pages: pages, Ring: ring, Master: s.master, Clients: registry,
		Grants: store, Sessions: store, People: store, Consents: store, Accounts: store,
		Lifetimes: provider.Lifetimes{
			Code: time.Duration(s.Lifetimes.Code), IDToken: time.Duration(s.Lifetimes.IDToken), AccessToken: time.Duration(s.Lifetimes.AccessToken),
			RefreshIdle: time.Duration(s.Lifetimes.RefreshIdle), RefreshMax: time.Duration(s.Lifetimes.RefreshMax),
			RefreshGrace: time.Duration(s.Lifetimes.RefreshGrace), Session: time.Duration(s.Lifetimes.Session),
		},
		DefaultRegion: s.DefaultRegion, Countries: s.Countries, Apps: truecaller.Apps{ByID: apps, Default: s.apps[0].ID}, UILocales: pages.Languages(), Cookies: cookies, ClientAddr: addresses.of,
		Country:   s.countryDB.of,
		Challenge: challenge, ChallengeBits: int(s.Limits.ChallengeBits),
		Logger: log, Audit: auditLog, Dev: development,
	})
	if err != nil {
		return nil, err
	}

	srv := &server{
		admin: admin.Handler(admin.Config{
			Clients: registry, Keys: ring, Budgets: store, People: store, Limits: limits, Region: s.DefaultRegion, Stats: func() any { return store.Stats() }, Log: log, Audit: recorder,
		}),
		store:      store,
		drain:      pages.Drain,
		background: []func(context.Context){store.Run, ring.Run, receiver.Run, secrets.watch},
	}
	counting.Watch(metrics.Sources{
		Store: store.Stats, Inbox: store.InboxSize, Attempts: engine.Watching, Pages: engine.Pages, Breakers: outgoing.Breakers,
	})
	private := http.NewServeMux()
	private.Handle("GET "+pathMetrics, counting.Handler())
	srv.metrics = private

	router := chi.NewRouter()
	router.Get(pathHealth, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })
	router.Get(pathReady, srv.ready)
	router.Handle(endpoint.PathCallback+"*", receiver)
	if development {
		gallery := pages.Gallery()
		router.Handle("/gallery", gallery)
		router.Handle("/gallery/*", gallery)
	}
	pages.Mount(router, op.Flow())
	op.Mount(router)
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		pages.Error(w, r, endpoint.ErrorView{Kind: endpoint.ErrorNotFound, Status: http.StatusNotFound})
	})
	router.MethodNotAllowed(methodNotAllowed(router, pages.Error))

	srv.handler = observer{log: log, addresses: addresses, strict: isHTTPS(s.Issuer) && !development, broken: pages.Error, counted: counting.Request}.wrap(router)
	built = true
	return srv, nil
}

// countries are those that the pages offer beside the number field.
func countries() []page.Country {
	var all []page.Country
	for _, c := range phone.Countries() {
		all = append(all, page.Country(c))
	}
	return all
}

// retireFor is how long a retired key stays published: as long as an ID token
// that it signed is good, and then a week, in which the token is still taken as
// a hint of who signs out.
func retireFor(s settings) time.Duration {
	return time.Duration(s.Lifetimes.IDToken) + 7*24*time.Hour
}

// ready says whether the server can do its work now.
func (srv *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, done := context.WithTimeout(r.Context(), time.Second)
	defer done()
	if _, _, err := srv.store.SigningKeys(ctx); err != nil || srv.draining.Load() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	w.Write([]byte("ready\n"))
}

// run does the background work until ctx ends, and then closes the store.
func (s *server) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, work := range s.background {
		wg.Go(func() { work(ctx) })
	}
	wg.Wait()
	return s.store.Close()
}

func isHTTPS(issuer string) bool { return strings.HasPrefix(issuer, "https://") }

// logger makes the log that the configuration asks for. What libraries log by
// themselves goes there too, if it is a warning at least.
func logger(s settings) *slog.Logger {
	made := func(level slog.Level) *slog.Logger {
		options := &slog.HandlerOptions{Level: level}
		if s.Log.Format == "text" {
			return slog.New(withRequestID{slog.NewTextHandler(os.Stderr, options)})
		}
		return slog.New(withRequestID{slog.NewJSONHandler(os.Stderr, options)})
	}
	slog.SetDefault(made(max(s.level, slog.LevelWarn)))
	return made(s.level)
}
