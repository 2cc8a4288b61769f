// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/provider/client"
)

// Client is a client as the API writes it (RFC 7591 §2, OpenID Connect Dynamic Client
// Registration §2; those after default_max_age are ours). Its secret is in the responses
// that make one, and nowhere else.
type Client struct {
	ID                     string   `json:"client_id" required:"false" doc:"Random if left out."`
	Secret                 string   `json:"client_secret,omitempty" readOnly:"true" doc:"Only in the response that makes it."`
	Name                   string   `json:"client_name" doc:"What users see."`
	URI                    string   `json:"client_uri,omitempty"`
	LogoURI                string   `json:"logo_uri,omitempty"`
	TOSURI                 string   `json:"tos_uri,omitempty"`
	PolicyURI              string   `json:"policy_uri,omitempty"`
	RedirectURIs           []string `json:"redirect_uris,omitempty" doc:"Matched exactly."`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	ResponseTypes          []string `json:"response_types,omitempty"`
	BackchannelURI         string   `json:"backchannel_logout_uri,omitempty"`
	BackchannelSession     bool     `json:"backchannel_logout_session_required,omitempty"`
	Scope                  string   `json:"scope,omitempty" doc:"With spaces between; if left out, all."`
	IDTokenAlg             string   `json:"id_token_signed_response_alg,omitempty"`
	SubjectType            string   `json:"subject_type,omitempty" doc:"public or pairwise; if left out, public."`
	DefaultMaxAge          *int64   `json:"default_max_age,omitempty" doc:"Seconds."`

	client.ResponseMetadata

	DefaultScope     string          `json:"default_scope,omitempty" doc:"Of requests without a scope."`
	Public           bool            `json:"public,omitempty" doc:"token_endpoint_auth_method none."`
	AuthMethod       string          `json:"token_endpoint_auth_method,omitempty" doc:"If left out, a secret in the header or in the body."`
	AuthAlg          string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	Keys             json.RawMessage `json:"jwks,omitempty"`
	KeysURI          string          `json:"jwks_uri,omitempty"`
	DefaultACR       []string        `json:"default_acr_values,omitempty"`
	Native           bool            `json:"native,omitempty"`
	AllowedOrigins   []string        `json:"allowed_origins,omitempty"`
	SectorHost       string          `json:"sector_host,omitempty" doc:"The sector of a pairwise client; by default its redirect host."`
	DeviceFlow       bool            `json:"device_flow,omitempty"`
	InitiateLoginURI string          `json:"initiate_login_uri,omitempty"`
	Signals          bool            `json:"signals,omitempty" doc:"It may have a stream of events about its users (Shared Signals Framework 1.0)."`
	Region           string          `json:"region,omitempty"`
	Countries        []string        `json:"countries,omitempty" doc:"At the top of the list of countries."`
	Consent          string          `json:"consent,omitempty" doc:"none, remember or always; if left out, none."`
	ScopeClaims      string          `json:"scope_claims,omitempty" doc:"both, id_token or userinfo; if left out, both."`
	WithoutPKCE      bool            `json:"dangerously_without_pkce,omitempty"`
	Colour           string          `json:"colour,omitempty"`
	ColourDark       string          `json:"colour_dark,omitempty"`
	TruecallerApp    string          `json:"truecaller_app,omitempty" doc:"If left out, the deployment's first."`

	RequestObjectAlg string   `json:"request_object_signing_alg,omitempty"`
	SignedRequests   bool     `json:"require_signed_request_object,omitempty"`
	RequestURIs      []string `json:"request_uris,omitempty"`

	FrontChannelLogoutURI string `json:"frontchannel_logout_uri,omitempty"`
	FrontChannelSession   bool   `json:"frontchannel_logout_session_required,omitempty"`

	Created    time.Time `json:"created,omitzero" readOnly:"true"`
	FromConfig bool      `json:"from_config,omitempty" readOnly:"true" doc:"Declared in the config file, and changed there; or the program's own."`
	Registered bool      `json:"registered,omitempty" readOnly:"true" doc:"It registered itself."`
	Warnings   []string  `json:"warnings,omitempty" readOnly:"true" doc:"What is unwise about it, where it was just made or changed."`
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
		Signals:                in.Signals,
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
		return c, refused(http.StatusUnprocessableEntity, "consent must be none, remember or always")
	}
	c.Consent = consent
	if c.ScopeClaims, ok = client.ParseScopeClaims(in.ScopeClaims); !ok {
		return c, refused(http.StatusUnprocessableEntity, "scope_claims must be both, id_token or userinfo")
	}
	switch in.SubjectType {
	case "", "public":
	case "pairwise":
		c.Pairwise = true
	default:
		return c, refused(http.StatusUnprocessableEntity, "subject_type must be public or pairwise")
	}
	if in.DefaultMaxAge != nil {
		if *in.DefaultMaxAge < 0 || *in.DefaultMaxAge > 1<<31 {
			return c, refused(http.StatusUnprocessableEntity, "default_max_age must be a number of seconds")
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
		Signals:                c.Signals,
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
		Created:                c.Created.UTC(),
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

// decodeClient decodes a client strictly, after a patch.
func decodeClient(raw []byte, into *Client) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return refused(http.StatusUnprocessableEntity, "the client is not readable: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// differences names the fields in which two clients differ, for the audit. Of lists it says
// what was added and removed: where users are sent to is what matters most.
func differences(before, after Client) string {
	var changed []string
	from, to := fieldsOf(before), fieldsOf(after)
	names := slices.Sorted(maps.Keys(from))
	for name := range to {
		if _, both := from[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if bytes.Equal(from[name], to[name]) {
			continue
		}
		changed = append(changed, name)
		var had, has []string
		if (json.Unmarshal(orNull(from[name]), &had) != nil) || (json.Unmarshal(orNull(to[name]), &has) != nil) {
			continue
		}
		for _, one := range has {
			if !slices.Contains(had, one) {
				changed = append(changed, "+"+one)
			}
		}
		for _, one := range had {
			if !slices.Contains(has, one) {
				changed = append(changed, "-"+one)
			}
		}
	}
	return strings.Join(changed, " ")
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

// fieldsOf returns the fields of a client that an operator may change.
func fieldsOf(c Client) map[string]json.RawMessage {
	c.Created, c.FromConfig, c.Registered, c.Warnings, c.Secret = time.Time{}, false, false, nil, ""
	raw, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	fields := map[string]json.RawMessage{}
	_ = json.Unmarshal(raw, &fields) // which was just written
	return fields
}
