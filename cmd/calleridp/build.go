// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/metrics"
	"calleridp/cmd/calleridp/probe"
	"calleridp/cmd/calleridp/serve"
	"calleridp/keys"
	"calleridp/provider"
	"calleridp/provider/admin"
	"calleridp/provider/audit"
	"calleridp/provider/audit/trail"
	"calleridp/provider/client"
	"calleridp/provider/console"
	"calleridp/provider/endpoint"
	"calleridp/provider/fetch"
	"calleridp/provider/funnel"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/storage/postgres"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
	"calleridp/ui"
	"calleridp/ui/page"

	"github.com/go-chi/chi/v5"
)

// build assembles the program. Everything that it consists of is in this function.
// development adds the gallery of pages and the details of errors.
func build(ctx context.Context, s config.Settings, log *slog.Logger, development bool) (*serve.Program, error) {
	if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	counting := metrics.New(versions())
	sums := audit.NewSums(log, counting)
	built := false
	defer func() {
		if !built {
			sums.Flush()
		}
	}()
	base := log
	log = sums.Logger()
	observed, tracer := observers(s, counting, log)
	var registry *client.Registry // the store reads from it which clients to notify of a session's end
	tells := func(id string) bool { return registry.Told(id) }
	store, err := openStorage(ctx, s, tells, observed.Committed, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if !built {
			store.Close()
		}
	}()
	if err := store.PinIssuer(ctx, s.Issuer); err != nil {
		return nil, err
	}
	recorder, err := openAudit(ctx, s, store, (*trail.Restoration)(store.restored), base, log, sums)
	if err != nil {
		return nil, err
	}
	defer func() {
		if !built {
			recorder.close()
		}
	}()
	if err := store.sayRestored(ctx, log); err != nil {
		return nil, err
	}
	ring, err := keys.OpenRing(ctx, keys.Config{
		Store:         store,
		Master:        s.Master,
		Log:           log,
		RotateEvery:   time.Duration(s.Keys.RotateEvery),
		PublishBefore: time.Duration(s.Keys.PublishBefore),
		RetireFor:     retireFor(s.Config),
		Algorithms:    s.Keys.Algorithms,
		Shared:        s.Postgres != nil,
	})
	if err != nil {
		return nil, err
	}

	addresses := serve.NewClientAddresses(s.Proxies, log)
	clientAddr := func(r *http.Request) string { return addresses.Of(r).String() }
	apps := map[string]truecaller.App{}
	for _, app := range s.Apps {
		apps[app.ID] = app
		counting.Expect(app.ID)
	}
	outgoing := truecaller.NewClient(truecaller.Options{
		Timeout:  time.Duration(s.Truecaller.Timeout),
		Log:      log,
		Observer: observed,
	})
	challenge, reserve := s.Limits.ChallengeMode()
	limits := login.Limits{
		Number:           limit.Rate(s.Limits.Number),
		NumberNetwork:    limit.Rate(s.Limits.NumberPerNetwork),
		Network:          limit.Rate(s.Limits.Network),
		Network56:        limit.Rate(s.Limits.Network56),
		Network48:        limit.Rate(s.Limits.Network48),
		Client:           limit.Rate(s.Limits.Client),
		Deployment:       limit.Rate(s.Limits.Deployment),
		Device:           limit.Rate(s.Limits.Device),
		SilentNetwork:    limit.Rate(s.Limits.SilentNetwork),
		SilentClient:     limit.Rate(s.Limits.SilentClient),
		SilentDeployment: limit.Rate(s.Limits.SilentDeployment),
		Reserve:          reserve,
	}
	counted := funnel.New(store, log)
	var receiver *truecaller.Receiver
	engine, err := login.New(login.Config{
		Store:           store,
		Inbox:           store,
		Pusher:          outgoing,
		Exchanger:       outgoing,
		Apps:            apps,
		Life:            time.Duration(s.Lifetimes.Attempt),
		Lock:            time.Duration(s.Limits.Lock),
		AfterApproval:   time.Duration(s.Limits.AfterApproval),
		CoolDown:        time.Duration(s.Limits.CoolDown),
		LongestCoolDown: time.Duration(s.Limits.CoolDownMax),
		AfterDecline:    time.Duration(s.AfterDecline),
		Limits:          limits,
		Policy:          subject.Policy{ReuseAfter: time.Duration(s.Subject.ReuseAfter)},
		// Engine and receiver need each other: the engine decides what callbacks mean.
		Arrived:  func(ctx context.Context, nonce string) { receiver.Arrived(ctx, nonce) },
		Log:      log,
		Audit:    recorder,
		Observer: login.Observers{observed, counted},
		Tracer:   tracesAttempts(tracer),
	})
	if err != nil {
		return nil, err
	}
	receiver, err = truecaller.NewReceiver(endpoint.PathCallback, truecaller.ReceiverConfig{
		Apps:      apps,
		Inbox:     store,
		Recipient: engine,
		Client:    outgoing,
		Log:       log,
		Callbacks: sums,
		From:      clientAddr,
		Observer:  observed,
		Trace:     engine.Trace,
	})
	if err != nil {
		return nil, err
	}
	secrets := serve.NewCallbackSecrets(s, receiver, store, log)
	if err := secrets.Start(ctx); err != nil {
		return nil, err
	}

	registry, err = client.NewRegistry(s.Clients, store, s.ClientDeployment())
	if err != nil {
		return nil, err
	}
	if err := registry.CheckStored(ctx); err != nil {
		return nil, fmt.Errorf("%w; or list the algorithm again until the client is removed", err)
	}
	endpoints := &later{}
	var door *console.Console // nil: there is no console
	if s.Console.URL != "" {
		if door, err = openDoor(s, store, ring, registry, endpoints, log, recorder); err != nil {
			return nil, err
		}
	}
	cookies := endpoint.Cookies{
		Secure: s.IsHTTPS(),
		// An attempt, and the page that says how it ended.
		BrowserAge: time.Duration(s.Lifetimes.Attempt) + time.Hour,
	}
	pages, err := ui.New(ui.Config{
		Issuer:         s.Issuer,
		Cookies:        cookies,
		Log:            log,
		ClientAddr:     addresses.Of,
		Countries:      countries(),
		Groups:         phone.Groups(),
		AppName:        s.Apps[0].Name,
		DeploymentName: s.UI.Name,
		Brand:          s.Brand,
		Overrides:      overrides(s),
		Simulation:     development || s.Simulated(),
		ShowDetail:     development,
	})
	if err != nil {
		return nil, ofPages(s, err)
	}
	fetcher := fetch.New(fetch.Options{Networks: s.ClientNetworks})
	op, err := provider.New(provider.Config{
		Issuer:       s.Issuer,
		Engine:       engine,
		Pages:        pages,
		Ring:         ring,
		Master:       s.Master,
		Clients:      registry,
		Grants:       store,
		Sessions:     store,
		People:       store,
		Consents:     store,
		Records:      store,
		Assertions:   store,
		Notices:      store,
		Streams:      store,
		Signals:      provider.Signals{Enabled: s.Signals.Enabled},
		Notified:     observed,
		Fetch:        fetcher,
		Registration: s.Registration.Policy(),
		Devices:      store,
		Budgets:      store,
		DeviceFlow:   s.DeviceFlow.Policy(),
		Lifetimes: provider.Lifetimes{
			Code:         time.Duration(s.Lifetimes.Code),
			IDToken:      time.Duration(s.Lifetimes.IDToken),
			AccessToken:  time.Duration(s.Lifetimes.AccessToken),
			RefreshIdle:  time.Duration(s.Lifetimes.RefreshIdle),
			RefreshMax:   time.Duration(s.Lifetimes.RefreshMax),
			RefreshGrace: time.Duration(s.Lifetimes.RefreshGrace),
			Session:      time.Duration(s.Lifetimes.Session),
		},
		DefaultRegion: s.DefaultRegion,
		Countries:     s.Countries,
		Apps:          truecaller.Apps{ByID: apps, Default: s.Apps[0].ID},
		UILocales:     pages.Languages(),
		Cookies:       cookies,
		ClientAddr:    addresses.Of,
		Country:       s.CountryDB.Of,
		Challenge:     challenge,
		ChallengeBits: int(s.Limits.ChallengeBits),
		ResponseTypes: s.ClientDeployment().ResponseTypes,

		UnsignedIDTokens: s.Keys.DangerouslyUnsignedIDTokens,

		RequestObjects: s.ClientDeployment().RequestObjects,

		Log:   log,
		Audit: recorder,
		Steps: observed.Step,
		Dev:   development,
	})
	if err != nil {
		return nil, err
	}

	backups := newBackups(store.backup, s, log)
	now := &running{store: store, outgoing: outgoing, receiver: receiver}
	now.settings.Store(&s)
	operations := admin.Config{
		Issuer:   s.Issuer,
		Clients:  registry,
		Keys:     ring,
		Budgets:  store,
		People:   store,
		Sessions: store,
		Grants:   store,
		Notices:  store,
		Streams:  store,
		APIKeys:  store,
		Requests: store,
		Limits:   limits,
		Region:   s.DefaultRegion,

		LongestLock: engine.LongestLock(),
		CoolDown:    engine.CoolDown(),
		AuditHeads:  store.AuditHeads,
		Lines:       recorder.reader,
		Stats:       store.stats,
		Effective:   now.effective,
		Now:         now.status,
		Log:         log,
		Audit:       recorder,
		Docs:        docs,
	}
	if backups != nil {
		operations.Backups = backups
	}
	api := admin.New(operations)
	program := &serve.Program{
		Admin:       api.Handler(),
		Connections: serve.NewConnections(int(s.Connections.Max), int(s.Connections.PerNetwork), addresses),

		Store: audited{store.engine, func() error {
			sums.Flush()
			return recorder.close()
		}},
		Drain:      pages.Drain,
		Background: []func(context.Context){store.Run, ring.Run, receiver.Run, secrets.Watch, sums.Run, op.Run, counted.Run},
		LastLines:  sums.Flush,
		Prepare:    reloading{registry, pages, fetcher, secrets, door, now}.prepare,
	}
	now.program = program
	if tracer != nil {
		program.Background = append(program.Background, tracer.Run)
	}
	if backups != nil {
		program.Background = append(program.Background, backups.Run)
	}
	if store.listen != nil {
		keysChanged, refreshing := atMostOnce(func(ctx context.Context) { refresh(ctx, ring, log) })
		program.Background = append(program.Background, refreshing)
		heard := postgres.Heard{
			Attempt: func(id login.ID, browser [32]byte) {
				engine.Changed(id, browser)
				receiver.Recheck()
			},
			Keys: keysChanged,
		}
		program.Background = append(program.Background, func(ctx context.Context) { store.listen(ctx, heard) })
	}
	watched := metrics.Sources{
		Inbox:    store.InboxSize,
		Notices:  store.NoticesWaiting,
		Attempts: engine.Watching,
		Pages:    engine.Pages,
		Server:   program.Connections,

		CertificateEnds: program.CertificateEnds,
		Breakers:        outgoing.Breakers,
	}
	if recorder.trail != nil {
		program.Background = append(program.Background, recorder.trail.Run)
		watched.Audit = recorder.trail.Stats
	}
	if backups != nil {
		watched.Backups = backups.Stats
	}
	store.watch(&watched)
	counting.Watch(watched)
	private := http.NewServeMux()
	private.Handle("GET "+serve.PathMetrics, counting.Handler())
	program.Metrics = private

	router := chi.NewRouter()
	router.Get(serve.PathHealth, program.Health)
	router.Get(serve.PathReady, program.Ready)
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
	router.MethodNotAllowed(serve.MethodNotAllowed(router, pages.Error))

	var public http.Handler = router
	if store.wrap != nil {
		public = store.wrap(router)
	}
	endpoints.Handler = public
	if door != nil {
		program.Console = consoleHandler(s, door, api, counted, now, log)
	}
	public = probe.NewServer(s.Master, addresses, s.IsHTTPS()).Wrap(public)
	hsts := s.TLS.HSTS.Duration
	if development { // localhost has other servers, some without https
		hsts = 0
	}
	middleware := serve.Middleware{
		Log:       log,
		Addresses: addresses,
		HSTS:      hsts,
		ErrorPage: pages.Error,
		Observe:   observed.Request,
	}
	if tracer != nil {
		middleware.Begin = tracer.Begin
	}
	program.Public = middleware.Wrap(public)
	built = true
	return program, nil
}

// atMostOnce returns what asks for do and does not wait, and what does it until ctx is
// done, once at a time: however often it is asked for meanwhile, it is done once more.
// A database user can send any number of notifications.
func atMostOnce(do func(context.Context)) (ask func(), run func(ctx context.Context)) {
	asked := make(chan struct{}, 1)
	ask = func() {
		select {
		case asked <- struct{}{}:
		default:
		}
	}
	return ask, func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-asked:
				do(ctx)
			}
		}
	}
}

// refresh uses the signing keys that another server has stored.
func refresh(ctx context.Context, ring *keys.Ring, log *slog.Logger) {
	if err := ring.Refresh(ctx); err != nil {
		log.Error("the signing keys of another server cannot be read", "error", err)
	}
}

// countries returns the countries that the pages offer beside the number field.
func countries() []page.Country {
	var all []page.Country
	for _, c := range phone.Countries() {
		all = append(all, page.Country(c))
	}
	return all
}

// retireFor returns how long a retired key stays published: while ID tokens that
// it signed are valid, and for a further week, in which they are still accepted as
// id_token_hint.
func retireFor(c config.Config) time.Duration {
	return time.Duration(c.Lifetimes.IDToken) + 7*24*time.Hour
}
