// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http"

	"calleridp/cmd/calleridp/config"
	"calleridp/keys"
	"calleridp/provider/admin"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/console"
	"calleridp/provider/funnel"
	"calleridp/ui"
	pages "calleridp/ui/console"
)

// later is a handler that is known after those who call it are built.
type later struct{ http.Handler }

// openDoor returns what lets operators into the console, and makes the registry know the
// console. endpoints are the issuer's.
func openDoor(
	s config.Settings, store *storage, ring *keys.Ring, registry *client.Registry, endpoints *later, log *slog.Logger, recorder audit.Recorder,
) (*console.Console, error) {
	door, err := console.New(console.Config{
		URL:        s.Console.URL,
		Issuer:     s.Issuer,
		Operators:  s.Operators,
		Subs:       s.Console.Subs,
		Master:     s.Master,
		Sessions:   store,
		Bindings:   store,
		Keys:       store,
		Audit:      recorder,
		Log:        log,
		Algorithms: ring.Algorithms(),
		Verify:     ring.Verify,
		Endpoints:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { endpoints.ServeHTTP(w, r) }),
	})
	if err != nil {
		return nil, err
	}
	return door, registry.AddOwn(door.Client())
}

// consoleHandler returns the console's pages.
func consoleHandler(
	s config.Settings, door *console.Console, api *admin.API, counted *funnel.Counter, now *running, log *slog.Logger,
) http.Handler {
	handler := pages.Handler(pages.Config{
		Door:     door,
		API:      api,
		Defaults: s.Defaults(),
		Funnel:   counted,
		Health:   now.facts,
		Tokens:   ui.Tokens(),
		Log:      log,
	})
	if now.store.wrap != nil {
		return now.store.wrap(handler)
	}
	return handler
}

// docs returns the page of the admin API.
func docs(document []byte) http.Handler { return pages.Docs(document, ui.Tokens()) }
