// SPDX-License-Identifier: Apache-2.0

// Package client owns the registry of relying parties: what each may request, how it
// authenticates and what its users see. The terms are those of RFC 7591 and OpenID
// Connect Dynamic Client Registration.
package client

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/redact"
)

// Client is a relying party.
type Client struct {
	ID        string
	Name      string // client_name, shown to users
	LogoURI   string
	URI       string // client_uri, the application's home
	TOSURI    string
	PolicyURI string

	// Colour and ColourDark are the accent of the pages that lead to the client, for
	// the light and the dark theme (ParseAccent). If empty, the operator's.
	Colour, ColourDark string

	// SecretHashes are the SHA-256 of the secrets that authenticate it; more
	// than one while a secret is being rotated. A public client has none.
	SecretHashes []SecretHash
	Public       bool // token_endpoint_auth_method none

	// AuthMethod is how a confidential client authenticates; "": its secret in the header
	// or in the body. AuthAlg is the algorithm of its assertions
	// (token_endpoint_auth_signing_alg); "": any of its method.
	AuthMethod AuthMethod
	AuthAlg    string
	// Secrets are those of a client with client_secret_jwt, which a hash does not check
	// (RFC 7518 §3.2). It has no SecretHashes.
	Secrets []redact.Text
	// Keys is the JWK set of a client with private_key_jwt or encrypted responses (jwks),
	// or KeysURI where it is published (jwks_uri).
	Keys    string
	KeysURI string

	RedirectURIs           []string // matched exactly (RFC 9700 §2.1)
	PostLogoutRedirectURIs []string
	AllowedOrigins         []string // CORS, for browser applications; empty: those of Origins
	Scopes                 []string // scopes it may request; empty: all

	WithoutPKCE   bool   // excuses an old confidential client from PKCE; never a public one
	IDTokenAlg    string // id_token_signed_response_alg: one of Algorithms, or AlgNone; "": the first
	Pairwise      bool   // subject_type pairwise (OpenID Connect Core §8.1)
	SectorHost    string // the sector of a pairwise client; by default its redirect host
	DefaultMaxAge *time.Duration
	Region        string   // default region for phone numbers, ISO 3166-1 alpha-2; "": the deployment's
	Countries     []string // regions that the list of countries starts with; empty: the deployment's
	Native        bool     // an Android application that may present codes of Truecaller's SDK (token exchange, RFC 8693)
	TruecallerApp string   // through which its users approve; "": the deployment's first
	Consent       Consent

	Created    time.Time
	FromConfig bool // declared in the config file: listed, not editable

	// DefaultScopes are the scopes of an authorization request that names none (RFC
	// 6749 §3.3). Empty: such a request is refused.
	DefaultScopes []string

	// DefaultACRValues are the authentication context classes that requests without any
	// prefer, in that order (default_acr_values).
	DefaultACRValues []string

	// ResponseTypes are what its authorization requests may ask for (response_types).
	// Empty: code.
	ResponseTypes []ResponseType

	ScopeClaims ScopeClaims
	Responses   Responses

	RequestObjects RequestObjects

	FrontChannel     FrontChannel
	BackChannel      BackChannel
	DeviceFlow       bool   // its devices may ask for a sign-in without a browser (RFC 8628)
	Signals          bool   // it may have a stream of events about its users (Shared Signals Framework 1.0)
	InitiateLoginURI string // https, where a sign-in begins at the client (OpenID Connect Core §4)

	// Registration is set if the client registered itself: a stranger's.
	Registration *Registration
}

// RegisteredAfter reports whether something granted at that time to a client of this ID was
// granted to an earlier client, since removed. This one has no claim to it.
func (c Client) RegisteredAfter(given time.Time) bool { return given.Before(c.Created) }

// Consent says when the user must consent to what the client requests. With
// prompt=consent they always must (OpenID Connect Core §3.1.2.1).
type Consent string

// When the user must consent.
const (
	// ConsentNone: never. The operator's own applications (first-party).
	ConsentNone Consent = ""
	// ConsentRemember: once, and again when the client requests more than before.
	ConsentRemember Consent = "remember"
	// ConsentAlways: every time.
	ConsentAlways Consent = "always"
)

// ParseConsent parses a setting: none (or nothing), remember or always.
func ParseConsent(s string) (Consent, bool) {
	switch c := Consent(s); c {
	case ConsentNone, ConsentRemember, ConsentAlways:
		return c, true
	case "none":
		return ConsentNone, true
	}
	return ConsentNone, false
}

// Errors of stores.
var (
	ErrNotFound = errors.New("client: not found")
	ErrExists   = errors.New("client: already exists")
)

// Store keeps the clients that were added while running. Writes are durable
// when they return.
type Store interface {
	// Client returns the client with this id, or ErrNotFound.
	Client(ctx context.Context, id string) (Client, error)
	// Clients returns all of them, ordered by ID.
	Clients(ctx context.Context) ([]Client, error)
	// CreateClient fails with ErrExists when the ID is taken.
	CreateClient(ctx context.Context, c Client) error
	// UpdateClient applies change inside a transaction; ErrNotFound if absent.
	UpdateClient(ctx context.Context, id string, change func(*Client) error) error
	// DeleteClient fails with ErrNotFound when there is none.
	DeleteClient(ctx context.Context, id string) error

	Registrations
}
