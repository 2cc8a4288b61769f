// SPDX-License-Identifier: Apache-2.0

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
	"calleridp/provider/audit/trail"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/console"
	"calleridp/provider/funnel"
	"calleridp/provider/grant"
	"calleridp/provider/idempotency"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/backup"
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
	idempotency.Store
	subject.Store
	subject.RecordStore
	session.Store
	grant.Store
	grant.DeviceStore
	consent.Store
	client.Store
	client.Assertions
	notify.Store
	signals.Store
	trail.Heads
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
	backup backup.Store                                    // nil: the engine is backed up by its own tools

	restored *bolt.Restoration // from which backup the store was restored, at the first start after it
	forget   func(context.Context) error
}

// openStorage opens the engine that the configuration names. It waits for a database
// that is not there yet. tells reports whether a client may hear that a session has ended; it
// is not called before work begins. committed hears of each durable change.
func openStorage(ctx context.Context, s config.Settings, tells func(clientID string) bool, committed func(context.Context, bool, time.Duration), log *slog.Logger) (*storage, error) {
	if s.Postgres == nil {
		store, err := bolt.Open(s.StoreFile(), s.Master, bolt.Options{Log: log, Tells: tells, Committed: committed})
		if errors.Is(err, bolt.ErrInUse) {
			return nil, fmt.Errorf("%w, or use the calleridp commands, which talk to it over its admin socket", err)
		}
		if err != nil {
			return nil, err
		}
		restored, err := store.Restored(ctx)
		if err != nil {
			return nil, errors.Join(err, store.Close())
		}
		return &storage{
			engine:   store,
			restored: restored,
			forget:   store.ForgetRestored,
			stats:    func() any { return store.Stats() },
			watch:    func(m *metrics.Sources) { m.Store = store.Stats },
			backup:   store,
		}, nil
	}
	o := *s.Postgres
	o.Log = log
	o.Tells = tells
	o.Committed = committed
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

// sayRestored logs once that the store was restored from a backup: what was used up or
// ended after it is as before. The audit must have its line before.
func (s *storage) sayRestored(ctx context.Context, log *slog.Logger) error {
	if s.restored == nil {
		return nil
	}
	log.Warn("the store was restored from a backup; records that were ended or deleted after it are back",
		"backup", s.restored.Taken.Format(time.RFC3339), "restored", s.restored.At.Format(time.RFC3339))
	return s.forget(ctx)
}

// warn logs what is probably a mistake in the database.
func warn(ctx context.Context, s config.Settings, store *postgres.Store, log *slog.Logger) {
	warnings, err := store.Warnings(ctx)
	if err != nil {
		log.Error("the durability settings of the database could not be read", "error", err)
	}
	for _, w := range warnings {
		log.Warn("the database is probably not configured correctly", "key", s.StorageKey(w.Field), "reason", w.Reason)
	}
}
