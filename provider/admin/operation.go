// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"net/http"
	"reflect"

	"calleridp/provider/apikey"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
)

// securityScheme is the name of the API keys in the OpenAPI document.
const securityScheme = "api_key"

// maxBody is how large a request may be.
const maxBody = 1 << 20

// document returns the API of the router, without operations.
func document(r chi.Router) huma.API {
	config := huma.DefaultConfig("CallerIdP admin API", "1")
	config.CreateHooks = nil // they add $schema to every response
	config.DocsPath = ""     // huma's pages load scripts from other hosts
	config.SchemasPath = ""
	config.OpenAPIPath = "/openapi"
	config.RejectUnknownQueryParameters = true
	config.Info.Description = "Manages a CallerIdP server. On the Unix socket the permissions of its file decide who may use it. " +
		"On admin_listen each request needs an API key with the scope of its operation. Errors are problem details (RFC 9457)."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		securityScheme: {Type: "http", Scheme: "bearer", Description: "An API key, from calleridp api-key add. Not needed on the Unix socket."},
	}
	return humachi.New(r, config)
}

// register adds an operation. needs is the scope that calls it; the OpenAPI document shows
// it, and a request without it is refused before anything of it is read. do begins with
// allowed, for callers that are no requests.
func register[I, O any](a *API, o huma.Operation, needs apikey.Scope, do func(context.Context, *I) (*O, error)) {
	o.Security = []map[string][]string{{securityScheme: {string(needs)}}}
	o.MaxBodyBytes = maxBody
	o.Errors = append(o.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	if _, ok := reflect.TypeFor[I]().FieldByName("Body"); ok { // huma refuses those that it cannot read
		o.Errors = append(o.Errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	o.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		if err := allowed(ctx.Context(), needs); err != nil {
			r, w := humachi.Unwrap(ctx)
			writeProblem(w, r, err.(*Problem))
			return
		}
		next(ctx)
	}}
	huma.Register(a.docs, o, func(ctx context.Context, in *I) (*O, error) {
		out, err := carryOut(ctx, a, o.OperationID, in, do)
		if err != nil {
			return nil, a.problem(ctx, &o, err)
		}
		return out, nil
	})
}
