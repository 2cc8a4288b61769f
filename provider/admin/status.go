package admin

import (
	"context"
	"net/http"

	"calleridp/provider/apikey"

	"github.com/danielgtaylor/huma/v2"
)

// Server is what clients have to know of the server.
type Server struct {
	Issuer string `json:"issuer" doc:"The issuer identifier, at which clients find the discovery document."`
}

func (a *API) status() {
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

// ShowServer returns what clients have to know of the server.
func (a *API) ShowServer(ctx context.Context, _ *struct{}) (*Reply[Server], error) {
	if err := allowed(ctx, apikey.StatusRead); err != nil {
		return nil, err
	}
	return reply(Server{Issuer: a.Issuer}), nil
}
