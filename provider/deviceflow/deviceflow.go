// SPDX-License-Identifier: Apache-2.0

// Package deviceflow lets users sign in on devices that have no browser: the device
// authorization endpoint (RFC 8628 §3.1) and the page on which the user enters the code
// that the device shows (§3.3).
//
//	deviceflow.go  the device authorization endpoint
//	usercode.go    the page with the field, and what a try costs
//	confirm.go     which application asks, from where; the user's decision
//	views.go       what the pages show
//
// From the user's confirmation on, it is a sign-in like any other, and the room declares
// what it needs of it. The device redeems its code at the token endpoint
// (provider/token/devicecode.go).
package deviceflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/clientauth"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/redact"

	"github.com/go-chi/chi/v5"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Policy says how the device flow is served.
type Policy struct {
	Enabled  bool
	Lifetime time.Duration // of a device code and its user code
	Interval time.Duration // between two polls of a device

	Network    limit.Rate // requests of devices from one network
	Client     limit.Rate // requests of one client's devices
	Deployment limit.Rate // all requests, and so how many user codes there are to guess
	UserCodes  limit.Rate // user codes that are tried from one network
}

// SignIn signs the user of a device in. *authorize.Endpoint does it.
type SignIn interface {
	// AuthorizeDevice goes on for a user who has confirmed that they started the request:
	// it shows the sign-in page or the consent prompt, or answers the request at once in a
	// session whose sign-in is recent.
	AuthorizeDevice(w http.ResponseWriter, r *http.Request, d grant.DeviceRequest, c client.Client) error
}

// Clients knows the relying parties. *client.Registry is one.
type Clients interface {
	// Client returns the client with this id, or client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
}

// Budgets are the store of rate limits.
type Budgets interface {
	// Spend takes what something costs, or nothing: then the error is a *limit.Exceeded.
	Spend(ctx context.Context, spend limit.Spend, now time.Time) error
}

// Config is what the room needs. Everything is required unless it says so.
type Config struct {
	Issuer  string
	Policy  Policy
	Auth    *clientauth.Authenticator
	Browser *endpoint.Browser
	Pages   Pages
	Master  *keys.Master
	Clients Clients
	SignIn  SignIn
	Devices grant.DeviceStore
	Grants  grant.Store
	Budgets Budgets
	Addr    endpoint.ClientAddr
	Audit   audit.Recorder
	// Country returns the country of a network, as limit.NetworkOf writes it: ISO
	// 3166-1 alpha-2, "" for unknown. nil: all are unknown.
	Country func(network string) string
}

// Endpoint is the device authorization endpoint, with the user's pages.
type Endpoint struct{ cfg Config }

// New returns an Endpoint.
func New(cfg Config) *Endpoint {
	if cfg.Country == nil {
		cfg.Country = func(string) string { return "" }
	}
	return &Endpoint{cfg: cfg}
}

// Mount registers the room's paths, if the flow is enabled.
func (e *Endpoint) Mount(r chi.Router) {
	if !e.cfg.Policy.Enabled {
		return
	}
	r.Handle(endpoint.PathDeviceAuthorization, e.cfg.Auth.Serve(clientauth.Endpoint{
		Name:  "device authorization endpoint",
		Path:  endpoint.PathDeviceAuthorization,
		Check: check,
		Serve: e.request,
	}))
	b := e.cfg.Browser
	enter, entered := e.enter, b.OwnForm(e.entered)
	r.HandleFunc(endpoint.PathDevice, b.Page(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodPost {
			return entered(w, r)
		}
		return enter(w, r)
	}, http.MethodGet, http.MethodHead, http.MethodPost))
	r.HandleFunc(endpoint.PathDeviceConfirm, b.Page(b.OwnForm(e.confirm), http.MethodPost))
	r.HandleFunc(endpoint.PathDeviceDone, b.Page(e.done, http.MethodGet, http.MethodHead))
}

// Metadata implements endpoint.Describer (RFC 8628 §4).
func (e *Endpoint) Metadata() endpoint.Metadata {
	if !e.cfg.Policy.Enabled {
		return nil
	}
	return endpoint.Metadata{{Name: "device_authorization_endpoint", Value: e.cfg.Issuer + endpoint.PathDeviceAuthorization}}
}

// response is the device authorization response (RFC 8628 §3.2).
type response struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URI        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int64  `json:"expires_in"` // seconds
	Interval   int64  `json:"interval"`   // seconds
}

// Format and LogValue keep the codes out of logs (invariant 10).
func (response) Format(f fmt.State, _ rune) { redact.Format(f) }
func (response) LogValue() slog.Value       { return redact.Value() }

// check refuses what no client may ask for.
func check(in endpoint.Parameters) error {
	if in.Has("resource") { // RFC 8707 §2
		return oidc.ErrInvalidTarget().WithDescription("resource is not supported: tokens are for the requesting client")
	}
	return nil
}

// maxTries is how many user codes are tried: of as many as may be live, one in fifty
// million is taken.
const maxTries = 3

// request begins the sign-in of a device (RFC 8628 §3.1).
func (e *Endpoint) request(r *http.Request, c client.Client, in endpoint.Parameters) (any, error) {
	if !c.DeviceFlow {
		return nil, oidc.ErrUnauthorizedClient().WithDescription("the client is not registered for the device flow")
	}
	scopes, err := in.ScopeFor(c)
	if err != nil {
		return nil, err
	}
	network := e.cfg.Addr.Network(r)
	for range maxTries {
		now := time.Now()
		code := grant.NewUserCode()
		user := grant.HashUserCode(e.userMAC, code)
		device := grant.NewDeviceCode(user)
		err = e.cfg.Devices.CreateDeviceRequest(r.Context(), grant.DeviceRequest{
			User:     user,
			Code:     grant.HashDeviceCode(e.deviceMAC, device),
			ClientID: c.ID,
			Scopes:   scopes,
			Network:  network,
			Created:  now,
			Expires:  now.Add(e.cfg.Policy.Lifetime),
		}, e.cost(network, c.ID), now)
		if errors.Is(err, grant.ErrExists) {
			continue
		}
		if exceeded, ok := errors.AsType[*limit.Exceeded](err); ok {
			e.cfg.Audit.Record(r.Context(), audit.Event{Name: audit.DeviceLimited, Client: c.ID, Network: network, Limit: string(exceeded.Kind)})
			return nil, tooMany(exceeded, now)
		}
		if err != nil {
			return nil, err
		}
		e.cfg.Audit.Record(r.Context(), audit.Event{Name: audit.DeviceStarted, Client: c.ID, Network: network})
		shown, page := grant.FormatUserCode(code), e.cfg.Issuer+endpoint.PathDevice
		return response{
			DeviceCode: string(device),
			UserCode:   shown,
			URI:        page,
			Complete:   page + "?user_code=" + shown,
			ExpiresIn:  int64(e.cfg.Policy.Lifetime / time.Second),
			Interval:   int64(e.cfg.Policy.Interval / time.Second),
		}, nil
	}
	return nil, err
}

// cost is what a request costs: its networks, its client and the deployment.
func (e *Endpoint) cost(network, clientID string) limit.Spend {
	p := e.cfg.Policy
	charges := limit.OnNetworks(limit.DeviceFlowNetwork, network, p.Network)
	return limit.Spend{Asker: append(charges,
		limit.Charge{Key: limit.Key{Kind: limit.DeviceFlowClient, ID: clientID}, Rate: p.Client},
		limit.Charge{Key: limit.Key{Kind: limit.DeviceFlowDeployment}, Rate: p.Deployment})}
}

// tooMany refuses with 429, as the token endpoint does: RFC 6749 §5.2 has no code for it.
func tooMany(exceeded *limit.Exceeded, now time.Time) error {
	refusal := endpoint.NewRefusal(http.StatusTooManyRequests, (&oidc.Error{ErrorType: "temporarily_unavailable"}).
		WithDescription("too many device requests at once; try again later"))
	refusal.RetryAfter = max(exceeded.RetryAt.Sub(now), time.Second)
	return refusal
}

func (e *Endpoint) userMAC(parts ...[]byte) [32]byte {
	return e.cfg.Master.MAC(keys.PurposeUserCodeHash, parts...)
}

func (e *Endpoint) deviceMAC(parts ...[]byte) [32]byte {
	return e.cfg.Master.MAC(keys.PurposeDeviceCode, parts...)
}
