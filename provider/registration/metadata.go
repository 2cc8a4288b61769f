// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
)

// The values of application_type.
const (
	typeWeb    = "web"
	typeNative = "native"
)

const (
	grantCode     = "authorization_code"
	grantImplicit = "implicit"
	grantRefresh  = "refresh_token"
)

// members are the members of a JSON object by their exact names. Unknown ones
// are ignored (RFC 7591 §2), names and links in other languages (`client_name#sv`) among
// them (§2.2 leaves the choice).
type members struct {
	all     map[string]json.RawMessage
	invalid error // the first that has another type than it should
}

// readMembers reads the body of a request.
func readMembers(r *http.Request) (members, error) {
	const body = "body" // what is refused has no member
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return members{}, refuse(body, "its Content-Type must be application/json (RFC 7591 section 3.1)")
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return members{}, refuse(body, "could not be read")
	case len(raw) > maxBody:
		return members{}, refuse(body, "is longer than %d KiB", maxBody>>10)
	}
	return parseMembers(raw)
}

func parseMembers(raw []byte) (members, error) {
	var in members
	if json.Unmarshal(raw, &in.all) != nil || in.all == nil {
		return members{}, refuse("body", "is not a JSON object (RFC 7591 section 3.1)")
	}
	if name, ok := repeated(raw); ok {
		return members{}, refuse(name, "is given more than once")
	}
	for name, value := range in.all {
		if string(value) == "null" { // as if it were left out (RFC 7592 §2.2)
			delete(in.all, name)
		}
	}
	return in, nil
}

// repeated returns the first member that an object has twice: of two, other readers may take
// the other one (RFC 8259 §4).
func repeated(object []byte) (name string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	d.Token() // the opening brace; that all of it is JSON is known
	seen := map[string]bool{}
	for d.More() {
		token, _ := d.Token()
		name, _ := token.(string)
		var value json.RawMessage
		if d.Decode(&value) != nil || seen[name] {
			return name, true
		}
		seen[name] = true
	}
	return "", false
}

func (in *members) has(name string) bool { return in.all[name] != nil }

// decode reads a member that is there.
func decode[T any](in *members, name, kind string) (value T) {
	raw, ok := in.all[name]
	if !ok {
		return value
	}
	if json.Unmarshal(raw, &value) != nil && in.invalid == nil {
		in.invalid = refuse(name, "is not %s", kind)
		var none T
		return none
	}
	return value
}

func (in *members) text(name string) string { return decode[string](in, name, "a string") }
func (in *members) texts(name string) []string {
	const kind = "a list of strings"
	var values []string
	for _, value := range decode[[]*string](in, name, kind) {
		if value == nil { // null, which encoding/json would make ""
			if in.invalid == nil {
				in.invalid = refuse(name, "is not "+kind)
			}
			return nil
		}
		values = append(values, *value)
	}
	return values
}
func (in *members) flag(name string) bool { return decode[bool](in, name, "true or false") }

// or returns the values, or the usual ones of a list that was left out.
func or(values []string, usual ...string) []string {
	if len(values) == 0 {
		return usual
	}
	return values
}

// unsupported are members that ask for what this server does not do (OpenID Connect
// Dynamic Client Registration §2), with the reason.
var unsupported = []struct{ member, reason string }{
	{"request_object_encryption_alg", "request objects are signed, and not encrypted"},
	{"request_object_encryption_enc", "request objects are signed, and not encrypted"},
}

// unprotected are promises of other specifications which a client relies on if it is not
// told that nothing keeps them.
var unprotected = []struct{ member, reason string }{
	{"dpop_bound_access_tokens", "access tokens are bearer tokens (RFC 9449 is not supported)"},
	{"tls_client_certificate_bound_access_tokens", "access tokens are bearer tokens (RFC 8705 is not supported)"},
	{"require_pushed_authorization_requests", "there are no pushed authorization requests (RFC 9126)"},
}

// clientOf returns the client that the members describe, as far as they alone can say. The
// registry validates the rest. The error wraps client.FieldErrors, or is
// errSoftwareStatement.
func clientOf(in members) (client.Client, error) {
	if in.has("software_statement") {
		return client.Client{}, errSoftwareStatement
	}
	for _, u := range unsupported {
		if in.has(u.member) {
			return client.Client{}, refuse(u.member, "%s; leave it out", u.reason)
		}
	}
	for _, u := range unprotected {
		if in.flag(u.member) {
			return client.Client{}, refuse(u.member, "%s", u.reason)
		}
	}
	about := &client.Registration{
		ApplicationType:     in.text("application_type"),
		GrantTypes:          or(in.texts("grant_types"), grantCode),
		SectorIdentifierURI: in.text("sector_identifier_uri"),
		Contacts:            in.texts("contacts"),
		SoftwareID:          in.text("software_id"),
		SoftwareVersion:     in.text("software_version"),
		RequireAuthTime:     in.flag("require_auth_time"),
	}
	c := client.Client{
		Name:                   in.text("client_name"),
		LogoURI:                in.text("logo_uri"),
		URI:                    in.text("client_uri"),
		TOSURI:                 in.text("tos_uri"),
		PolicyURI:              in.text("policy_uri"),
		RedirectURIs:           in.texts("redirect_uris"),
		PostLogoutRedirectURIs: in.texts("post_logout_redirect_uris"),
		FrontChannel:           in.frontChannel(),
		BackChannel:            in.backChannel(),
		IDTokenAlg:             in.text("id_token_signed_response_alg"),
		Responses:              in.responses(),
		AuthAlg:                in.text("token_endpoint_auth_signing_alg"),
		KeysURI:                in.text("jwks_uri"),
		InitiateLoginURI:       in.text("initiate_login_uri"),
		Scopes:                 strings.Fields(in.text("scope")),
		RequestObjects:         in.requestObjects(),
		DefaultACRValues:       in.texts("default_acr_values"),
		// The operator does not know the client: users decide (OpenID Connect Core §3.1.2.4).
		Consent:      client.ConsentRemember,
		Registration: about,
	}
	if in.has("jwks") {
		c.Keys = string(in.all["jwks"])
	}
	if c.AuthMethod = client.AuthMethod(in.text("token_endpoint_auth_method")); c.AuthMethod == "" {
		c.AuthMethod = client.AuthBasic // RFC 7591 §2
	}
	if c.AuthMethod == client.AuthNone {
		c.Public, c.AuthMethod = true, ""
	}
	subjectType, maxAge := in.text("subject_type"), decode[*int64](&in, "default_max_age", "a number of seconds")
	c.ResponseTypes = client.ParseResponseTypes(or(in.texts("response_types"), usualTypes(about.GrantTypes)...))
	if in.invalid != nil {
		return client.Client{}, in.invalid
	}

	switch subjectType {
	case "", "public":
	case "pairwise":
		c.Pairwise = true
	default:
		return client.Client{}, refuse("subject_type", "%q is unknown; use public or pairwise", subjectType)
	}
	if maxAge != nil {
		if *maxAge < 0 || *maxAge > 1<<31 {
			return client.Client{}, refuse("default_max_age", "must be a number of seconds that is not negative")
		}
		age := time.Duration(*maxAge) * time.Second
		c.DefaultMaxAge = &age
	}
	if about.ApplicationType == "" {
		about.ApplicationType = typeWeb
	}
	if about.ApplicationType != typeWeb && about.ApplicationType != typeNative {
		return client.Client{}, refuse("application_type", "%q is unknown; use web or native", about.ApplicationType)
	}
	c.DeviceFlow = slices.Contains(about.GrantTypes, grantDevice)
	if c.Name == "" { // users must see some name; RFC 7591 §2 leaves it to us
		c.Name = nameOf(c.RedirectURIs)
	} else if err := checkName(c.Name); err != nil {
		return client.Client{}, err
	}
	if c.DeviceFlow && c.Name == "" {
		return client.Client{}, refuse("client_name", "missing; a client without redirect_uris needs one, because users must see who asks")
	}
	if err := checkTypes(&c); err != nil {
		return client.Client{}, err
	}
	err := errors.Join(
		checkRedirects("redirect_uris", about.ApplicationType, slices.ContainsFunc(c.ResponseTypes, inFront), c.RedirectURIs),
		checkRedirects("post_logout_redirect_uris", about.ApplicationType, false, c.PostLogoutRedirectURIs),
		checkLinks([][2]string{
			{"logo_uri", c.LogoURI}, {"client_uri", c.URI}, {"tos_uri", c.TOSURI}, {"policy_uri", c.PolicyURI},
			{"initiate_login_uri", c.InitiateLoginURI},
		}...),
		checkTexts("contacts", about.Contacts),
		checkTexts("default_acr_values", c.DefaultACRValues),
		checkTexts("software_id", []string{about.SoftwareID}),
		checkTexts("software_version", []string{about.SoftwareVersion}),
	)
	if err == nil && c.Name != "" { // the host may have neither
		err = checkName(c.Name)
	}
	return c, err
}

// checkName refuses a name that shows nothing.
func checkName(name string) error {
	if !strings.ContainsFunc(name, isSeen) {
		return refuse("client_name", "has no letter and no digit: users must see who asks")
	}
	return nil
}

// checkTypes refuses grants that there are not, and response types and grants that do not
// belong together (OpenID Connect Dynamic Client Registration §2, RFC 7591 §2.1). A client
// without refresh_token has no scope that gives one.
func checkTypes(c *client.Client) error {
	grants := c.Registration.GrantTypes
	code := slices.ContainsFunc(c.ResponseTypes, client.ResponseType.Code)
	front := slices.ContainsFunc(c.ResponseTypes, inFront)
	for _, g := range grants {
		if g != grantCode && g != grantRefresh && g != grantDevice && (g != grantImplicit || !front) {
			return refuse("grant_types", "%q is not supported with these response_types; use authorization_code and refresh_token", g)
		}
	}
	switch {
	case c.DeviceFlow && len(c.ResponseTypes) > 0 && len(c.RedirectURIs) == 0:
		return refuse("redirect_uris", "missing; response_types needs them")
	case c.DeviceFlow && len(c.ResponseTypes) == 0 && len(c.RedirectURIs) > 0:
		return refuse("redirect_uris", "no grant type of the client uses them; leave them out, or add authorization_code")
	case code && !slices.Contains(grants, grantCode):
		return refuse("grant_types", "must have authorization_code, which response_types with code need (RFC 7591 section 2.1)")
	case front && !slices.Contains(grants, grantImplicit):
		return refuse("grant_types", "must have implicit, which response_types with id_token or token need (RFC 7591 section 2.1)")
	}
	refreshes := slices.Contains(grants, grantRefresh)
	switch {
	case refreshes:
	case len(c.Scopes) == 0:
		c.Scopes = slices.DeleteFunc(slices.Clone(claims.Scopes), func(s string) bool { return s == claims.OfflineAccess })
	case slices.Contains(c.Scopes, claims.OfflineAccess):
		return refuse("scope", "offline_access needs refresh_token among grant_types")
	}
	return nil
}

// inFront reports whether the response type gives a token of the authorization endpoint.
func inFront(t client.ResponseType) bool { return client.InFront(string(t)) }

// nameOf returns the name of a client that has not said any: where it gets its codes.
func nameOf(redirects []string) string {
	if len(redirects) == 0 {
		return ""
	}
	u, err := url.Parse(redirects[0])
	switch {
	case err != nil:
		return ""
	case u.Hostname() != "":
		return u.Hostname()
	}
	return u.Scheme + ":" // as client.Client.Shown has it
}

// isSeen reports whether r is a letter or a digit that has a shape: four letters of Hangul
// are fillers.
func isSeen(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsNumber(r)) && !strings.ContainsRune("\u115f\u1160\u3164\uffa0", r)
}

// written is a client as the responses have it (RFC 7591 §3.2.1, RFC 7592 §3).
type written struct {
	ClientID                string `json:"client_id"`
	IssuedAt                int64  `json:"client_id_issued_at"`
	Secret                  string `json:"client_secret,omitempty"`
	SecretExpires           *int64 `json:"client_secret_expires_at,omitempty"` // 0: never
	RegistrationAccessToken string `json:"registration_access_token"`
	RegistrationClientURI   string `json:"registration_client_uri"`
	Metadata
}

// Metadata is what a client may say of itself and reads again.
type Metadata struct {
	RedirectURIs        []string        `json:"redirect_uris"`
	ResponseTypes       []string        `json:"response_types"`
	GrantTypes          []string        `json:"grant_types"`
	ApplicationType     string          `json:"application_type"`
	Contacts            []string        `json:"contacts,omitempty"`
	Name                string          `json:"client_name"`
	LogoURI             string          `json:"logo_uri,omitempty"`
	URI                 string          `json:"client_uri,omitempty"`
	PolicyURI           string          `json:"policy_uri,omitempty"`
	TOSURI              string          `json:"tos_uri,omitempty"`
	KeysURI             string          `json:"jwks_uri,omitempty"`
	Keys                json.RawMessage `json:"jwks,omitempty"`
	SectorIdentifierURI string          `json:"sector_identifier_uri,omitempty"`
	SubjectType         string          `json:"subject_type"`
	IDTokenAlg          string          `json:"id_token_signed_response_alg"`
	client.ResponseMetadata
	AuthMethod             string   `json:"token_endpoint_auth_method"`
	AuthAlg                string   `json:"token_endpoint_auth_signing_alg,omitempty"`
	DefaultMaxAge          *int64   `json:"default_max_age,omitempty"`
	RequireAuthTime        bool     `json:"require_auth_time,omitempty"`
	DefaultACRValues       []string `json:"default_acr_values,omitempty"`
	InitiateLoginURI       string   `json:"initiate_login_uri,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	Scope                  string   `json:"scope"`
	SoftwareID             string   `json:"software_id,omitempty"`
	SoftwareVersion        string   `json:"software_version,omitempty"`
	RequestObjects
	FrontChannel
	BackChannel
}

// written returns the response about a client. token is its registration access token, as
// the client knows it already or gets it now.
func (e *Endpoint) written(c client.Client, secret, token string) written {
	out := written{
		ClientID:                c.ID,
		IssuedAt:                c.Created.Unix(),
		Secret:                  secret,
		RegistrationAccessToken: token,
		RegistrationClientURI:   e.cfg.Issuer + endpoint.PathRegister + "/" + c.ID,
		Metadata:                metadataOf(c),
	}
	if secret != "" {
		out.SecretExpires = new(int64)
	}
	return out
}

func metadataOf(c client.Client) Metadata {
	m := Metadata{
		RedirectURIs:           c.RedirectURIs,
		GrantTypes:             c.Registration.GrantTypes,
		ApplicationType:        c.Registration.ApplicationType,
		Contacts:               c.Registration.Contacts,
		Name:                   c.Name,
		LogoURI:                c.LogoURI,
		URI:                    c.URI,
		PolicyURI:              c.PolicyURI,
		TOSURI:                 c.TOSURI,
		KeysURI:                c.KeysURI,
		Keys:                   json.RawMessage(c.Keys),
		SectorIdentifierURI:    c.Registration.SectorIdentifierURI,
		SubjectType:            "public",
		IDTokenAlg:             c.SigningAlg(),
		ResponseMetadata:       c.Responses.Metadata(),
		AuthMethod:             string(c.AuthMethod),
		AuthAlg:                c.AuthAlg,
		RequireAuthTime:        c.Registration.RequireAuthTime,
		DefaultACRValues:       c.DefaultACRValues,
		InitiateLoginURI:       c.InitiateLoginURI,
		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		Scope:                  strings.Join(or(c.Scopes, claims.Scopes...), " "),
		SoftwareID:             c.Registration.SoftwareID,
		SoftwareVersion:        c.Registration.SoftwareVersion,
		FrontChannel:           FrontChannel(c.FrontChannel),
		BackChannel:            BackChannel(c.BackChannel),
		RequestObjects:         RequestObjects(c.RequestObjects),
	}
	if m.RedirectURIs == nil {
		m.RedirectURIs = []string{}
	}
	m.ResponseTypes = []string{}
	for _, t := range c.ResponseTypes {
		m.ResponseTypes = append(m.ResponseTypes, string(t))
	}
	if c.Pairwise {
		m.SubjectType = "pairwise"
	}
	if c.Public {
		m.AuthMethod = string(client.AuthNone)
	}
	if c.DefaultMaxAge != nil {
		seconds := int64(*c.DefaultMaxAge / time.Second)
		m.DefaultMaxAge = &seconds
	}
	return m
}
