// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
)

// registry knows the client "app" with the secret "s", and the public client
// "public".
type registry struct {
	failure error
	calls   int
}

func (r *registry) Authenticate(_ context.Context, id, secret string) (client.Client, error) {
	r.calls++
	if id == "app" && secret == "s" || id == "public" && secret == "" {
		return client.Client{ID: id, Public: secret == ""}, r.failure
	}
	return client.Client{}, client.ErrUnauthenticated
}

func (r *registry) Client(_ context.Context, id string) (client.Client, error) {
	if id == "app" || id == "public" {
		return client.Client{ID: id}, nil
	}
	return client.Client{}, client.ErrNotFound
}

// events is an audit.Recorder.
type events []audit.Event

func (e *events) Record(_ context.Context, event audit.Event) { *e = append(*e, event) }

// noOrigins implements endpoint.Origins for requests of no browser application.
type noOrigins struct{ endpoint.Origins }

// An endpoint sees the requests of authenticated clients alone. Malformed requests
// do not reach the registry.
func TestServe(t *testing.T) {
	const app = "client_id=app&client_secret=s"
	failure := errors.New("the disk is full")
	malformed := endpoint.InvalidRequest("malformed")
	for _, row := range []struct {
		what, body   string
		basic        bool // an Authorization header as well
		confidential bool
		failure      error // of the registry
		check        error
		status       int
		calls        int // of the registry
		want         string
		audited      string // the registered client that the caller did not authenticate as; "-" for no event
	}{
		{what: "a secret", body: app, confidential: true, status: 200, calls: 1, want: `"app"`, audited: "-"},
		{what: "a public client", body: "client_id=public", status: 200, calls: 1, want: `"public"`, audited: "-"},
		{what: "a public client, refused", body: "client_id=public", confidential: true, status: 401, calls: 1, want: "invalid_client", audited: "public"},
		{what: "a wrong secret", body: "client_id=app&client_secret=x", status: 401, calls: 1, want: "invalid_client", audited: "app"},
		{what: "an unknown client", body: "client_id=x&client_secret=s", status: 401, calls: 1, want: "invalid_client"},
		{what: "a missing secret", body: "client_id=app", status: 401, calls: 1, want: "invalid_client", audited: "app"},
		{what: "malformed", body: app, check: malformed, status: 400, want: "malformed", audited: "-"},
		{what: "malformed, no credentials", body: "x=1", check: malformed, status: 401, want: "invalid_client"},
		{what: "a secret in two places", body: app, basic: true, status: 400, want: "invalid_request", audited: "app"},
		{what: "a repeated parameter", body: app + "&x=1&x=2", status: 400, want: "invalid_request", audited: "-"},
		{what: "an internal error", body: app, failure: failure, status: 500, calls: 1, want: "server_error", audited: "-"},
	} {
		t.Run(row.what, func(t *testing.T) {
			known := &registry{failure: row.failure}
			direct := endpoint.NewDirect(noOrigins{}, endpoint.Failures{Log: slog.New(slog.DiscardHandler)})
			var audited events
			handler := New(Config{Registry: known, Direct: direct, Addr: endpoint.ConnectionAddr, Audit: &audited}).Serve(Endpoint{
				Name:         "test",
				Confidential: row.confidential,
				Check:        func(endpoint.Parameters) error { return row.check },
				Serve: func(_ *http.Request, c client.Client, _ endpoint.Parameters) (any, error) {
					return c.ID, nil
				},
			})
			r := httptest.NewRequest(http.MethodPost, "/test", strings.NewReader(row.body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if row.basic {
				r.SetBasicAuth("app", "s")
			}
			recorder := httptest.NewRecorder()
			handler(recorder, r)
			if recorder.Code != row.status || !strings.Contains(recorder.Body.String(), row.want) {
				t.Errorf("got %d %s, want %d with %s", recorder.Code, recorder.Body, row.status, row.want)
			}
			if row.failure != nil && strings.Contains(recorder.Body.String(), row.failure.Error()) {
				t.Errorf("got %s, want no cause", recorder.Body)
			}
			if known.calls != row.calls {
				t.Errorf("calls of the registry: got %d, want %d", known.calls, row.calls)
			}
			got := "-"
			if len(audited) == 1 {
				e := audited[0]
				got = e.Client
				if e.Name != audit.ClientUnauthenticated || e.Endpoint != "test" || e.Network != "192.0.2.1/32" || e.Err == nil || e.Err.Error() != row.want {
					t.Errorf("audited %+v, want the endpoint, the network and the error %s", e, row.want)
				}
			}
			if got != row.audited || len(audited) > 1 {
				t.Errorf("audited %+v, want the client %q", audited, row.audited)
			}
		})
	}
}
