package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"

	"github.com/go-chi/chi/v5"
)

// Client is a client as the API writes it (RFC 7591 §2, OpenID Connect Dynamic
// Client Registration §2; those after default_max_age are ours). Its secret is in the answers
// that make one, and nowhere else.
type Client struct {
	ID                     string   `json:"client_id"`
	Secret                 string   `json:"client_secret,omitempty"`
	Name                   string   `json:"client_name"`
	URI                    string   `json:"client_uri,omitempty"`
	LogoURI                string   `json:"logo_uri,omitempty"`
	TOSURI                 string   `json:"tos_uri,omitempty"`
	PolicyURI              string   `json:"policy_uri,omitempty"`
	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	ResponseTypes          []string `json:"response_types,omitempty"`
	BackchannelURI         string   `json:"backchannel_logout_uri,omitempty"`
	BackchannelSession     bool     `json:"backchannel_logout_session_required,omitempty"`
	Scope                  string   `json:"scope,omitempty"` // with spaces between; "" for all
	IDTokenAlg             string   `json:"id_token_signed_response_alg,omitempty"`
	SubjectType            string   `json:"subject_type,omitempty"` // pairwise; "" for public
	DefaultMaxAge          *int64   `json:"default_max_age,omitempty"`

	client.ResponseMetadata

	DefaultScope     string          `json:"default_scope,omitempty"`              // of requests without a scope
	Public           bool            `json:"public,omitempty"`                     // token_endpoint_auth_method none
	AuthMethod       string          `json:"token_endpoint_auth_method,omitempty"` // "" for a secret in the header or in the body
	AuthAlg          string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	Keys             json.RawMessage `json:"jwks,omitempty"`
	KeysURI          string          `json:"jwks_uri,omitempty"`
	DefaultACR       []string        `json:"default_acr_values,omitempty"`
	Native           bool            `json:"native,omitempty"`
	AllowedOrigins   []string        `json:"allowed_origins,omitempty"`
	SectorHost       string          `json:"sector_host,omitempty"`
	DeviceFlow       bool            `json:"device_flow,omitempty"`
	InitiateLoginURI string          `json:"initiate_login_uri,omitempty"`
	Region           string          `json:"region,omitempty"`
	Countries        []string        `json:"countries,omitempty"`    // at the top of the list of countries
	Consent          string          `json:"consent,omitempty"`      // remember or always; "" for none
	ScopeClaims      string          `json:"scope_claims,omitempty"` // id_token or userinfo; "" for both
	WithoutPKCE      bool            `json:"dangerously_without_pkce,omitempty"`
	Colour           string          `json:"colour,omitempty"`
	ColourDark       string          `json:"colour_dark,omitempty"`
	TruecallerApp    string          `json:"truecaller_app,omitempty"` // "" for the deployment's first

	RequestObjectAlg string   `json:"request_object_signing_alg,omitempty"`
	SignedRequests   bool     `json:"require_signed_request_object,omitempty"`
	RequestURIs      []string `json:"request_uris,omitempty"`

	FrontChannelLogoutURI string `json:"frontchannel_logout_uri,omitempty"`
	FrontChannelSession   bool   `json:"frontchannel_logout_session_required,omitempty"`

	Created    time.Time `json:"created,omitzero"`      // ignored in requests, like the next three
	FromConfig bool      `json:"from_config,omitempty"` // declared in the configuration file
	Registered bool      `json:"registered,omitempty"`  // it registered itself
	Warnings   []string  `json:"warnings,omitempty"`    // what is unwise about a new client
}

func (h *handler) list(r *http.Request) (int, any, error) {
	all, err := h.Clients.List(r.Context())
	if err != nil {
		return 0, nil, err
	}
	out := []Client{}
	for _, c := range all {
		out = append(out, shown(c))
	}
	return http.StatusOK, out, nil
}

func (h *handler) show(r *http.Request) (int, any, error) {
	id := chi.URLParam(r, "id")
	c, err := h.Clients.Client(r.Context(), id)
	if err != nil {
		return 0, nil, clientError(id, err)
	}
	return http.StatusOK, shown(c), nil
}

func (h *handler) add(r *http.Request) (int, any, error) {
	var in Client
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return 0, nil, refused{http.StatusBadRequest, "the client is not readable: " + strings.TrimPrefix(err.Error(), "json: ")}
	}
	if _, err := d.Token(); err != io.EOF {
		return 0, nil, refused{http.StatusBadRequest, "the client is not readable: there is more than one JSON value"}
	}
	if in.Secret != "" {
		return 0, nil, refused{http.StatusUnprocessableEntity, "client_secret is made by the server; leave it out"}
	}
	if strings.TrimSpace(in.Name) == "" {
		return 0, nil, refused{http.StatusUnprocessableEntity, "client_name is missing; users see it when they sign in"}
	}
	c, err := registered(in)
	if err != nil {
		return 0, nil, err
	}
	added, secret, err := h.Clients.Add(r.Context(), c)
	if err != nil {
		return 0, nil, clientError(c.ID, err)
	}
	h.Audit.Record(r.Context(), audit.Event{Name: audit.ClientAdded, Client: added.ID})
	out := shown(added)
	out.Secret = secret
	for _, unwise := range client.Advise(added) {
		out.Warnings = append(out.Warnings, unwise.Error())
	}
	return http.StatusCreated, out, nil
}

func (h *handler) secret(r *http.Request) (int, any, error) {
	id := chi.URLParam(r, "id")
	secret, err := h.Clients.RotateSecret(r.Context(), id)
	if err != nil {
		return 0, nil, clientError(id, err)
	}
	h.Audit.Record(r.Context(), audit.Event{Name: audit.ClientSecretRotated, Client: id})
	c, err := h.Clients.Client(r.Context(), id)
	if err != nil {
		return 0, nil, clientError(id, err)
	}
	out := shown(c)
	out.Secret = secret
	return http.StatusOK, out, nil
}

func (h *handler) remove(r *http.Request) (int, any, error) {
	id := chi.URLParam(r, "id")
	c, err := h.Clients.Client(r.Context(), id)
	if err == nil {
		err = h.Clients.Remove(r.Context(), id)
	}
	if err != nil {
		return 0, nil, clientError(id, err)
	}
	h.Audit.Record(r.Context(), audit.Event{Name: audit.ClientRemoved, Client: id})
	return http.StatusOK, shown(c), nil
}

// clientError is what operators are told of the registry's refusals.
func clientError(id string, err error) error {
	_, invalid := errors.AsType[client.FieldErrors](err)
	switch {
	case errors.Is(err, client.ErrNotFound):
		return refused{http.StatusNotFound, "there is no client " + id}
	case errors.Is(err, client.ErrExists):
		return refused{http.StatusConflict, "there is a client " + id + " already"}
	case errors.Is(err, client.ErrFromConfig):
		return refused{http.StatusConflict, "client " + id + " is declared in the config file; change it there and restart"}
	case errors.Is(err, client.ErrNoSecret):
		return refused{http.StatusConflict, "client " + id + " has no secret: it is public, or it authenticates by private_key_jwt"}
	case invalid:
		return refused{http.StatusUnprocessableEntity, err.Error()}
	}
	return err
}

// registered is a client as the registry takes it.
func registered(in Client) (client.Client, error) {
	c := client.Client{
		ID:                     in.ID,
		Name:                   in.Name,
		URI:                    in.URI,
		LogoURI:                in.LogoURI,
		TOSURI:                 in.TOSURI,
		PolicyURI:              in.PolicyURI,
		RedirectURIs:           in.RedirectURIs,
		PostLogoutRedirectURIs: in.PostLogoutRedirectURIs,
		AllowedOrigins:         in.AllowedOrigins,
		ResponseTypes:          client.ParseResponseTypes(in.ResponseTypes),
		Scopes:                 strings.Fields(in.Scope),
		DefaultScopes:          strings.Fields(in.DefaultScope),
		DefaultACRValues:       in.DefaultACR,
		IDTokenAlg:             in.IDTokenAlg,
		Responses:              in.ResponseMetadata.Responses(),
		SectorHost:             in.SectorHost,
		DeviceFlow:             in.DeviceFlow,
		InitiateLoginURI:       in.InitiateLoginURI,
		Region:                 in.Region,
		Countries:              in.Countries,
		Public:                 in.Public,
		AuthMethod:             client.AuthMethod(in.AuthMethod),
		AuthAlg:                in.AuthAlg,
		Keys:                   string(in.Keys),
		KeysURI:                in.KeysURI,
		Native:                 in.Native,
		WithoutPKCE:            in.WithoutPKCE,
		Colour:                 in.Colour,
		ColourDark:             in.ColourDark,
		TruecallerApp:          in.TruecallerApp,
		FrontChannel:           client.FrontChannel{LogoutURI: in.FrontChannelLogoutURI, SessionRequired: in.FrontChannelSession},
		BackChannel:            client.BackChannel{LogoutURI: in.BackchannelURI, SessionRequired: in.BackchannelSession},
		RequestObjects:         client.RequestObjects{Alg: in.RequestObjectAlg, Required: in.SignedRequests, URIs: in.RequestURIs},
	}
	consent, ok := client.ParseConsent(in.Consent)
	if !ok {
		return c, refused{http.StatusUnprocessableEntity, "consent must be none, remember or always"}
	}
	c.Consent = consent
	if c.ScopeClaims, ok = client.ParseScopeClaims(in.ScopeClaims); !ok {
		return c, refused{http.StatusUnprocessableEntity, "scope_claims must be both, id_token or userinfo"}
	}
	switch in.SubjectType {
	case "", "public":
	case "pairwise":
		c.Pairwise = true
	default:
		return c, refused{http.StatusUnprocessableEntity, "subject_type must be public or pairwise"}
	}
	if in.DefaultMaxAge != nil {
		if *in.DefaultMaxAge < 0 || *in.DefaultMaxAge > 1<<31 {
			return c, refused{http.StatusUnprocessableEntity, "default_max_age must be a number of seconds"}
		}
		age := time.Duration(*in.DefaultMaxAge) * time.Second
		c.DefaultMaxAge = &age
	}
	return c, nil
}

func shown(c client.Client) Client {
	out := Client{
		ID:                     c.ID,
		Name:                   c.Name,
		URI:                    c.URI,
		LogoURI:                c.LogoURI,
		TOSURI:                 c.TOSURI,
		PolicyURI:              c.PolicyURI,
		RedirectURIs:           c.RedirectURIs,
		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		AllowedOrigins:         c.AllowedOrigins,
		Scope:                  strings.Join(c.Scopes, " "),
		DefaultScope:           strings.Join(c.DefaultScopes, " "),
		DefaultACR:             c.DefaultACRValues,
		IDTokenAlg:             c.SigningAlg(),
		ResponseMetadata:       c.Responses.Metadata(),
		SectorHost:             c.SectorHost,
		DeviceFlow:             c.DeviceFlow,
		InitiateLoginURI:       c.InitiateLoginURI,
		Region:                 c.Region,
		Countries:              c.Countries,
		Consent:                string(c.Consent),
		ScopeClaims:            string(c.ScopeClaims),
		Public:                 c.Public,
		AuthMethod:             string(c.AuthMethod),
		AuthAlg:                c.AuthAlg,
		Keys:                   json.RawMessage(c.Keys),
		KeysURI:                c.KeysURI,
		Native:                 c.Native,
		WithoutPKCE:            c.WithoutPKCE,
		Colour:                 c.Colour,
		ColourDark:             c.ColourDark,
		TruecallerApp:          c.TruecallerApp,
		RequestObjectAlg:       c.RequestObjects.Alg,
		SignedRequests:         c.RequestObjects.Required,
		RequestURIs:            c.RequestObjects.URIs,
		FrontChannelLogoutURI:  c.FrontChannel.LogoutURI,
		FrontChannelSession:    c.FrontChannel.SessionRequired,
		Created:                c.Created,
		FromConfig:             c.FromConfig,
		BackchannelURI:         c.BackChannel.LogoutURI,
		BackchannelSession:     c.BackChannel.SessionRequired,
	}
	for _, t := range c.ResponseTypes {
		out.ResponseTypes = append(out.ResponseTypes, string(t))
	}
	out.Registered = c.Registration != nil
	if c.Pairwise {
		out.SubjectType = "pairwise"
	}
	if c.DefaultMaxAge != nil {
		seconds := int64(*c.DefaultMaxAge / time.Second)
		out.DefaultMaxAge = &seconds
	}
	return out
}
