// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"net/http"
	"time"

	"calleridp/keys"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"

	"github.com/danielgtaylor/huma/v2"
)

// Server is what clients have to know of the server.
type Server struct {
	Issuer string `json:"issuer" doc:"The issuer identifier, at which clients find the discovery document."`
}

// Status is how a server is now. Behind a load balancer, it is that of one of several.
type Status struct {
	Version  string    `json:"version"`
	Store    string    `json:"store" doc:"healthy, or why nothing can be written."`
	Inbox    int       `json:"inbox" doc:"Callbacks of Truecaller that are not processed yet."`
	Notices  int       `json:"notices" doc:"Logout notices and events that wait for clients."`
	Breakers []Breaker `json:"breakers" doc:"The circuit breakers of Truecaller's hosts that have had a request."`
	// LastCallback tells an operator whether Truecaller reaches the server.
	LastCallback time.Time   `json:"last_callback_at,omitzero" doc:"When this server took the last callback of Truecaller. Absent: none since its start."`
	Certificate  Certificate `json:"certificate" doc:"That of the public listener."`
	Keys         []keys.Info `json:"keys" doc:"The signing keys as this server has them."`
}

// Certificate is how the public listener's certificate stands.
type Certificate struct {
	Source string    `json:"source" doc:"files, acme, or none: a proxy in front speaks TLS."`
	Ends   time.Time `json:"ends_at,omitzero" doc:"Absent: there is none, or the ACME server has not issued one yet."`
}

// Breaker is a circuit breaker of one of Truecaller's hosts.
type Breaker struct {
	Purpose string `json:"purpose"`
	Host    string `json:"host"`
	State   string `json:"state" doc:"closed: requests go through; open: none does; half_open: one does, to find out."`
}

func (a *API) status() {
	register(a, huma.Operation{
		OperationID: "show-status", Method: http.MethodGet, Path: "/v1/status", Tags: []string{"Status"},
		Summary: "Show how the server is", Description: "Its store, signing keys and certificate, Truecaller's hosts and callbacks, and what waits.",
	}, apikey.StatusRead, a.ShowStatus)
	register(a, huma.Operation{
		OperationID: "show-config", Method: http.MethodGet, Path: "/v1/config", Tags: []string{"Configuration"},
		Summary: "Show the configuration in use", Description: "Defaults included. A secret is only said to be set.",
	}, apikey.ConfigRead, a.ShowConfig)
	register(a, huma.Operation{
		OperationID: "show-server", Method: http.MethodGet, Path: "/v1/server", Tags: []string{"Status"},
		Summary: "Show what clients have to know of the server",
	}, apikey.StatusRead, a.ShowServer)
	register(a, huma.Operation{
		OperationID: "show-stats", Method: http.MethodGet, Path: "/v1/stats", Tags: []string{"Status"},
		Summary: "Show counters of the store", Description: "They are those of the engine; names may change with it.",
	}, apikey.StatusRead, a.ShowStats)
}

// ShowStats returns counters of the store.
func (a *API) ShowStats(ctx context.Context, _ *struct{}) (*Reply[any], error) {
	if err := allowed(ctx, apikey.StatusRead); err != nil {
		return nil, err
	}
	return reply(a.Stats()), nil
}

// ShowStatus returns how the server is.
func (a *API) ShowStatus(ctx context.Context, _ *struct{}) (*Reply[Status], error) {
	if err := allowed(ctx, apikey.StatusRead); err != nil {
		return nil, err
	}
	now, err := a.Now(ctx)
	if err != nil {
		return nil, err
	}
	now.Keys = append([]keys.Info{}, a.Keys.Keys()...)
	return reply(now), nil
}

// ShowConfig returns the configuration in use, without its secrets.
func (a *API) ShowConfig(ctx context.Context, _ *struct{}) (*Reply[any], error) {
	if err := allowed(ctx, apikey.ConfigRead); err != nil {
		return nil, err
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.ConfigShown})
	return reply(a.Effective()), nil
}

// ShowServer returns what clients have to know of the server.
func (a *API) ShowServer(ctx context.Context, _ *struct{}) (*Reply[Server], error) {
	if err := allowed(ctx, apikey.StatusRead); err != nil {
		return nil, err
	}
	return reply(Server{Issuer: a.Issuer}), nil
}
