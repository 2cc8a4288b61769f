// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"net/http"
	"slices"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/redact"

	"github.com/go-chi/chi/v5"
)

// manage serves the configuration endpoint of a client (RFC 7592 §2), to the holder of its
// registration access token. That stays the same: a client whose response was lost would
// be locked out by a new one (§3 leaves the choice).
func (e *Endpoint) manage(_ http.ResponseWriter, r *http.Request) (any, error) {
	ctx, id := r.Context(), chi.URLParam(r, "client_id")
	token, _ := bearer(r)
	known, err := e.cfg.Clients.Registered(ctx, id, token)
	if err != nil {
		return nil, err
	}
	switch r.Method {
	case http.MethodPut:
		return e.change(r, known, token)
	case http.MethodDelete:
		if err := e.cfg.Clients.RemoveRegistered(ctx, id, token); err != nil {
			return nil, err
		}
		e.record(r, audit.ClientDeregistered, id)
		return endpoint.Answer{Status: http.StatusNoContent}, nil
	}
	return e.written(known, "", token), nil
}

// serverMembers are what a client must not send (RFC 7592 §2.2).
var serverMembers = []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}

// change replaces what a client has registered: what the request leaves out is gone, or as
// if it had never been said (RFC 7592 §2.2).
func (e *Endpoint) change(r *http.Request, known client.Client, token string) (any, error) {
	in, err := readMembers(r)
	if err != nil {
		return nil, err
	}
	for _, name := range serverMembers {
		if in.has(name) {
			return nil, refuse(name, "must not be sent (RFC 7592 section 2.2)")
		}
	}
	if in.text("client_id") != known.ID {
		return nil, refuse("client_id", "must be that of the client (RFC 7592 section 2.2)")
	}
	if secret := in.text("client_secret"); secret != "" && !slices.Contains(known.SecretHashes, client.HashSecret(secret)) &&
		!slices.ContainsFunc(known.Secrets, func(s redact.Text) bool { return client.HashSecret(string(s)) == client.HashSecret(secret) }) {
		return nil, refuse("client_secret", "must be the client's own, or be left out (RFC 7592 section 2.2)")
	}
	c, err := e.clientOf(r, in)
	if err != nil {
		return nil, err
	}
	changed, secret, err := e.cfg.Clients.ChangeRegistered(r.Context(), known.ID, token, c)
	if err != nil {
		return nil, err
	}
	e.record(r, audit.ClientChanged, changed.ID)
	e.cfg.Logos.Of(changed)
	return e.written(changed, secret, token), nil
}
