package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/metrics"
	"calleridp/cmd/calleridp/serve"
	"calleridp/keys"
	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/console"
	"calleridp/provider/funnel"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/provider/once"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/bolt"
	"calleridp/storage/postgres"
	"calleridp/truecaller"
)

// engine is every store that the program needs, in one.
type engine interface {
	keys.Store
	truecaller.Inbox
	truecaller.Secrets
	login.Store
	admin.Budgets
	admin.People
	admin.Grants
	apikey.Store
	once.Store
	subject.Store
	subject.RecordStore
	session.Store
	grant.Store
	grant.DeviceStore
	consent.Store
	client.Store
	client.Assertions
	notify.Store
	funnel.Store
	console.Bindings
	serve.Store

	PinIssuer(ctx context.Context, issuer string) error
	InboxSize(ctx context.Context) (int, error)
	Run(ctx context.Context)
}

// storage is an open engine, and what only one of them has.
type storage struct {
	engine
	stats  func() any
	watch  func(*metrics.Sources)                          // adds its own metrics
	listen func(ctx context.Context, heard postgres.Heard) // to other servers; nil: there are none
	wrap   func(http.Handler) http.Handler                 // what serves requests; nil: as it is
}

// openStorage opens the engine that the configuration names. It waits for a database
// that is not there yet.
func openStorage(ctx context.Context, s config.Settings, log *slog.Logger) (*storage, error) {
	if s.Postgres == nil {
		store, err := bolt.Open(s.StoreFile(), s.Master, bolt.Options{Log: log, Tells: client.Told(s.Clients)})
		if errors.Is(err, bolt.ErrInUse) {
			return nil, fmt.Errorf("%w, or use the calleridp commands, which talk to it over its admin socket", err)
		}
		if err != nil {
			return nil, err
		}
		return &storage{
			engine: store,
			stats:  func() any { return store.Stats() },
			watch:  func(m *metrics.Sources) { m.Store = store.Stats },
		}, nil
	}
	o := *s.Postgres
	o.Log = log
	o.Tells = client.Told(s.Clients)
	for {
		store, err := postgres.Open(ctx, s.Master, o)
		if err == nil {
			warn(ctx, s, store, log)
			return &storage{
				engine: store,
				stats:  func() any { return store.Stats() },
				watch:  func(m *metrics.Sources) { m.Database = store.Stats },
				listen: store.Listen,
				wrap:   postgres.Requests,
			}, nil
		}
		if !errors.Is(err, postgres.ErrUnavailable) {
			return nil, fmt.Errorf("main: opening the store: %w", s.StorageError(err))
		}
		log.Error("the server does not start yet: its database is not available", "error", s.StorageError(err))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// warn logs what is probably a mistake in the database.
func warn(ctx context.Context, s config.Settings, store *postgres.Store, log *slog.Logger) {
	warnings, err := store.Warnings(ctx)
	if err != nil {
		log.Error("whether the database keeps what it acknowledges could not be asked", "error", err)
	}
	for _, w := range warnings {
		log.Warn("the database is probably not set up as it should be", "key", s.StorageKey(w.Field), "reason", w.Reason)
	}
}
