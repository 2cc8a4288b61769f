// SPDX-License-Identifier: Apache-2.0

// Package transmitter is a transmitter of the OpenID Shared Signals Framework 1.0 (SSF): what
// happens to a client's users after the sign-in reaches the client as a Security Event Token
// (RFC 8417), with the events of CAEP 1.0 and RISC 1.0.
//
//	transmitter.go  the configuration document, and who may call the rest
//	streams.go      a receiver creates, reads, changes and deletes its stream
//	manage.go       its status, its subjects, and verification
//	set.go          a notice as a Security Event Token
//	push.go         delivery by HTTP requests of ours (RFC 8935)
//	poll.go         delivery in the responses to the receiver's (RFC 8936)
//
// A client has one stream, which carries only what is about its own users. Which facts are
// events is package signals'.
package transmitter

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/fetch"
	"calleridp/provider/idtoken"
	"calleridp/provider/redact"
	"calleridp/provider/signals"
	"calleridp/provider/subject"

	"github.com/go-chi/chi/v5"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Clients knows the relying parties. *client.Registry is one.
type Clients interface {
	// Client returns the client with this id, or client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
}

// People knows the users. The engines of storage do.
type People interface {
	// Person returns the user with this sub, or subject.ErrNotFound.
	Person(ctx context.Context, sub string) (subject.Person, error)
}

// Poster pushes to what receivers have named. *fetch.Client is one.
type Poster interface {
	PostSET(ctx context.Context, address string, authorization redact.Text, set string) (fetch.Reply, error)
}

// Config is what a Transmitter needs. Everything is required but Enabled.
type Config struct {
	Issuer  string
	Enabled bool // there are receivers
	Direct  *endpoint.Direct
	Keys    idtoken.Keys
	Master  *keys.Master
	Tokens  *idtoken.Issuer // knows sub and sid as the client knows them
	Clients Clients
	People  People
	Store   signals.Store
	Post    Poster
	Addr    endpoint.ClientAddr
	Audit   audit.Recorder
	Log     *slog.Logger
}

// Transmitter manages streams, and delivers what they carry. It is a notify.Sender.
type Transmitter struct {
	cfg   Config
	polls polls
}

// New returns a Transmitter.
func New(cfg Config) *Transmitter { return &Transmitter{cfg: cfg} }

// Mount registers the room's paths, if there are receivers.
func (t *Transmitter) Mount(r chi.Router) {
	if !t.cfg.Enabled {
		return
	}
	r.Get(endpoint.PathSSFDiscovery, t.discovery)
	for _, e := range []struct {
		name, path string
		methods    map[string]handler
	}{
		{"event streams", endpoint.PathSSFStreams, map[string]handler{
			http.MethodGet: t.read, http.MethodPost: t.create, http.MethodPatch: t.update, http.MethodPut: t.replace, http.MethodDelete: t.remove,
		}},
		{"stream status", endpoint.PathSSFStatus, map[string]handler{http.MethodGet: t.status, http.MethodPost: t.setStatus}},
		{"stream subjects", endpoint.PathSSFAddSubject, map[string]handler{http.MethodPost: t.addSubject}},
		{"stream subjects", endpoint.PathSSFRemoveSubject, map[string]handler{http.MethodPost: t.removeSubject}},
		{"stream verification", endpoint.PathSSFVerify, map[string]handler{http.MethodPost: t.verify}},
		{"stream poll", endpoint.PathSSFPoll + "{stream}", map[string]handler{http.MethodPost: t.poll}},
	} {
		r.Handle(e.path, t.serve(e.name, e.methods))
	}
}

// document is the Transmitter Configuration Metadata (SSF §7.1).
type document struct {
	SpecVersion    string              `json:"spec_version"`
	Issuer         string              `json:"issuer"`
	JWKS           string              `json:"jwks_uri"`
	Methods        []signals.Method    `json:"delivery_methods_supported"`
	Configuration  string              `json:"configuration_endpoint"`
	Status         string              `json:"status_endpoint"`
	AddSubject     string              `json:"add_subject_endpoint"`
	RemoveSubject  string              `json:"remove_subject_endpoint"`
	Verification   string              `json:"verification_endpoint"`
	Authorization  []map[string]string `json:"authorization_schemes"`
	DefaultSubject string              `json:"default_subjects"`
}

func (t *Transmitter) discovery(w http.ResponseWriter, _ *http.Request) {
	at := func(path string) string { return t.cfg.Issuer + path }
	body, err := json.Marshal(document{
		SpecVersion:   "1_0",
		Issuer:        t.cfg.Issuer,
		JWKS:          at(endpoint.PathJWKS),
		Methods:       signals.Methods,
		Configuration: at(endpoint.PathSSFStreams),
		Status:        at(endpoint.PathSSFStatus),
		AddSubject:    at(endpoint.PathSSFAddSubject),
		RemoveSubject: at(endpoint.PathSSFRemoveSubject),
		Verification:  at(endpoint.PathSSFVerify),
		// RFC 6749 is client_credentials at the token endpoint; RFC 6750 is how its token is sent.
		Authorization:  []map[string]string{{"spec_urn": "urn:ietf:rfc:6749"}, {"spec_urn": "urn:ietf:rfc:6750"}},
		DefaultSubject: "ALL",
	})
	if err != nil { // a plain struct of ours always marshals
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(body) // an error means that the receiver disconnected
}

// handler serves the request of an authorized receiver.
type handler func(r *http.Request, c client.Client) (any, error)

// serve serves a path by its methods, to receivers.
func (t *Transmitter) serve(name string, methods map[string]handler) http.HandlerFunc {
	var names []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete} {
		if methods[m] != nil {
			names = append(names, m)
		}
	}
	return t.cfg.Direct.Serve(endpoint.DirectEndpoint{
		Name:    name,
		Methods: names,
		Scheme:  endpoint.Receiver,
		Handle: func(_ http.ResponseWriter, r *http.Request) (any, error) {
			c, err := t.authorize(r)
			if err != nil {
				return nil, err
			}
			return methods[r.Method](r, c)
		},
	})
}

// authorize returns the client whose access token a request presents in its header (RFC 6750
// §2.1). To read, either scope is enough.
func (t *Transmitter) authorize(r *http.Request) (client.Client, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if len(r.Header.Values("Authorization")) == 0 {
		return client.Client{}, unauthorized("", "")
	}
	token = strings.Trim(token, " ")
	if len(r.Header.Values("Authorization")) > 1 || !strings.EqualFold(scheme, oidc.BearerToken) || token == "" {
		return client.Client{}, unauthorized("invalid_token", "the header Authorization is not one Bearer token")
	}
	const unknown = "the access token is unknown, has expired, or its client is no receiver"
	access, ok := signals.ReadToken(t.mac, redact.Text(token), time.Now())
	if !ok {
		return client.Client{}, unauthorized("invalid_token", unknown)
	}
	c, err := t.cfg.Clients.Client(r.Context(), access.ClientID)
	switch {
	case errors.Is(err, client.ErrNotFound), err == nil && (!c.Signals || c.RegisteredAfter(access.Issued)):
		return client.Client{}, unauthorized("invalid_token", unknown)
	case err != nil:
		return client.Client{}, err
	case r.Method != http.MethodGet && !slices.Contains(access.Scopes, signals.ScopeManage):
		return client.Client{}, endpoint.NewRefusal(http.StatusForbidden, &oidc.Error{ // RFC 6750 §3.1
			ErrorType: "insufficient_scope", Description: "the access token lacks the scope " + signals.ScopeManage})
	}
	return c, nil
}

func (t *Transmitter) mac(parts ...[]byte) [32]byte {
	return t.cfg.Master.MAC(keys.PurposeSignalToken, parts...)
}

func unauthorized(code, description string) error {
	return refusal(http.StatusUnauthorized, code, description)
}

// refusal refuses with a status of the framework.
func refusal(status int, code, description string) error {
	e := oidc.ErrInvalidRequest()
	e.Description = description
	switch code {
	case "invalid_request":
	case "":
		e = &oidc.Error{Description: description}
	case "invalid_token":
		e = &oidc.Error{ErrorType: "invalid_token", Description: description}
	case "not_found":
		e = &oidc.Error{ErrorType: "not_found", Description: description}
	}
	return endpoint.NewRefusal(status, e)
}

func invalid(description string) error {
	return refusal(http.StatusBadRequest, "invalid_request", description)
}

// held is the refusal to end an operator's pause.
func held() error {
	return refusal(http.StatusForbidden, "invalid_request", "an operator of the transmitter has paused the stream")
}

// notFound is the refusal for a stream that is not the client's.
func notFound() error {
	return refusal(http.StatusNotFound, "not_found", "there is no such stream of this receiver")
}

// maxBody is how many bytes a receiver's request may have.
const maxBody = 128 << 10

// decode reads the JSON object in the body of a request.
func decode(r *http.Request, into any) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return invalid("the body could not be read")
	case len(raw) > maxBody:
		return refusal(http.StatusRequestEntityTooLarge, "invalid_request", "the body is too large")
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object == nil || json.Unmarshal(raw, into) != nil {
		return invalid("the body is not a JSON object with members of the right types")
	}
	return nil
}

// streamOf returns the client's stream, if it has the ID, or notFound.
func (t *Transmitter) streamOf(ctx context.Context, c client.Client, id string) (signals.Stream, error) {
	s, err := t.cfg.Store.Stream(ctx, c.ID)
	switch {
	case errors.Is(err, signals.ErrNotFound):
		return s, notFound()
	case err != nil:
		return s, err
	case s.ID != id || c.RegisteredAfter(s.Created):
		return s, notFound()
	}
	return s, nil
}

// change changes the client's stream, if it has the ID. Other streams are notFound.
func (t *Transmitter) change(ctx context.Context, c client.Client, id string, do func(s signals.Stream) (signals.Update, error)) (signals.Stream, error) {
	u, err := t.cfg.Store.ChangeStream(ctx, c.ID, func(known *signals.Stream) (signals.Update, error) {
		if known == nil || known.ID != id || c.RegisteredAfter(known.Created) {
			return signals.Update{}, notFound()
		}
		return do(*known)
	})
	if err != nil || u.Stream == nil {
		return signals.Stream{}, err
	}
	return *u.Stream, nil
}
