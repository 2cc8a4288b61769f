// SPDX-License-Identifier: Apache-2.0

package config

import "calleridp/provider/redact"

// Config is the configuration file, a YAML document. Unknown keys are refused.
// docs/configuration.md is made of these comments.
//
// Every key except clients and truecaller_apps can also be set in the environment,
// which overrides the file: CALLERIDP_ and the key in capitals, with underscores
// between the levels, as in CALLERIDP_ISSUER or CALLERIDP_TRUECALLER_APP_NAME. In
// the environment, commas separate the items of a list. An empty variable counts
// as unset, and an unknown one is refused, except those that Kubernetes sets.
//
// Secrets come from files (the keys that end in _file) or from the environment
// (the same key without _file), never from the document itself. A file of a secret that
// every user of the machine can read, or that a group can change, is refused. The name of
// a file may begin with ${CREDENTIALS_DIRECTORY}/, where systemd puts the credentials of a
// unit (LoadCredential).
//
// Write durations like 90s, 15m, 12h or 30d. Write rates like 10/1h: ten at once,
// and ten more in each hour.
type Config struct {
	// Issuer is the URL at which clients and browsers reach this server: https,
	// host and port, without a path or a trailing slash. Clients compare it byte by
	// byte, and it cannot change after the first start. Plain http is accepted on
	// loopback only. Required.
	Issuer string `yaml:"issuer"`

	// Listen is the address to listen on. Default ":8443".
	Listen string `yaml:"listen"`

	// TLS is the server's certificate.
	TLS TLS `yaml:"tls"`

	// TrustedProxies are the networks (CIDR) whose X-Forwarded-For is trusted, with or
	// without ports. If unset, the address of the connection is the client's.
	TrustedProxies []string `yaml:"trusted_proxies"`

	// ClientNetworks are the networks (CIDR), beside the public ones, in which addresses
	// of clients may lie that this server fetches from (jwks_uri, logo_uri). If unset, none: a client
	// cannot make it send requests into your own network.
	ClientNetworks []string `yaml:"client_networks"`

	// DataDir is the directory of the store and the admin socket, on a local disk
	// and writable by the server alone. Required.
	DataDir string `yaml:"data_dir"`

	// Storage configures where the server keeps its records.
	Storage Storage `yaml:"storage"`

	// Backup configures backups of the store's file while the server runs.
	Backup Backup `yaml:"backup"`

	// MasterKeyFile is the file with the master key, which encrypts everything in
	// the store; `calleridp keys init-master --out FILE` creates one. Keep a copy
	// elsewhere: without it the store cannot be read. Required, unless
	// CALLERIDP_MASTER_KEY holds the key itself.
	MasterKeyFile string      `yaml:"master_key_file"`
	MasterKey     redact.Text `yaml:"master_key" secret:"environment"`

	// Truecaller is the app that you registered in Truecaller's developer portal. It
	// serves all clients that name no other.
	Truecaller Truecaller `yaml:"truecaller"`

	// TruecallerApps are more of them, for clients that name one with
	// truecaller_app. Each has an id and the keys of truecaller, except timeout. The
	// phone shows that app's name. Their secrets come from files only.
	TruecallerApps []Truecaller `yaml:"truecaller_apps"`

	// DefaultRegion is the country in which national phone numbers are read, two
	// capital letters (ISO 3166-1), unless the user chooses another. A client may
	// override it. If unset, the page proposes the country of the browser's language
	// and asks the user to confirm the number.
	DefaultRegion string `yaml:"default_region"`

	// Countries are listed first in the page's list of countries, like [IN, SE]; all
	// others follow. A client may override them. Without a default_region, the page
	// proposes only these.
	Countries []string `yaml:"countries"`

	// ResponseTypes are what clients may be allowed to ask the authorization endpoint for:
	// code, "code id_token", id_token, "code token", "code id_token token" and
	// "id_token token". Each client has code only, unless its own response_types say
	// otherwise. Default [code], which is what new applications should use (RFC 9700
	// section 2.1.2).
	ResponseTypes []string `yaml:"response_types"`

	// RequestObjects says which request objects are accepted (OpenID Connect Core 6, RFC
	// 9101): signed (default), those of clients that have registered keys, or
	// client_secret_jwt; any, also unsigned ones, which protect nothing; off, none.
	RequestObjects string `yaml:"request_objects"`

	// Clients are the applications that this file declares. You can add more while
	// the server runs, with `calleridp client add`.
	Clients []Client `yaml:"clients"`

	// Registration configures clients that register themselves (RFC 7591).
	Registration Registration `yaml:"registration"`

	// DeviceFlow configures sign-in on devices without a browser (RFC 8628).
	DeviceFlow DeviceFlow `yaml:"device_flow"`
	// Signals configures the events that applications get about their users after the sign-in.
	Signals Signals `yaml:"signals"`

	// Lifetimes are how long attempts, codes, tokens and sessions are valid.
	Lifetimes Lifetimes `yaml:"lifetimes"`

	// UI configures the pages.
	UI UI `yaml:"ui"`

	// Limits are the rate limits.
	Limits Limits `yaml:"limits"`

	// Connections are the limits of connections to listen.
	Connections Connections `yaml:"connections"`

	// Drain configures how the server stops.
	Drain Drain `yaml:"drain"`

	// Subject controls when a number belongs to a new user.
	Subject Subject `yaml:"subject"`

	// Keys configures the signing keys.
	Keys Keys `yaml:"keys"`

	// Log configures logging.
	Log Log `yaml:"log"`

	// Audit configures the record of who signed in where, and who changed what.
	Audit Audit `yaml:"audit"`

	// CountryDatabase is a file in MaxMind's format (.mmdb) with the countries of
	// networks. If set, users see on their account page from which country they
	// signed in. No request leaves the machine for it.
	CountryDatabase string `yaml:"country_database"`

	// AdminSocket is the Unix socket at which the calleridp commands reach the
	// server. Default admin.sock in data_dir.
	AdminSocket string `yaml:"admin_socket"`

	// AdminListen is the address that serves the admin API and the operators' console over
	// TLS, like 10.0.0.5:9443: the API to callers with an API key (`calleridp api-key add`),
	// the console to browsers (console). If unset, the API is served on admin_socket only,
	// and the console is not.
	AdminListen string `yaml:"admin_listen"`

	// AdminTLS is the certificate of admin_listen. Default that of tls.
	AdminTLS AdminTLS `yaml:"admin_tls"`

	// Console configures the operators' console.
	Console Console `yaml:"console"`

	// MetricsListen is the address that serves /metrics to Prometheus: a loopback or
	// private address of this machine and a separate port, like 127.0.0.1:9464. If
	// unset, metrics are not served.
	MetricsListen string `yaml:"metrics_listen"`

	// DebugListen is the loopback address that serves Go's profiles at
	// /debug/pprof/. If unset, they are not served.
	DebugListen string `yaml:"debug_listen"`

	// Tracing configures traces of requests and sign-ins (OpenTelemetry).
	Tracing Tracing `yaml:"tracing"`
}

// Backup configures backups of the store's file while the server runs. They are for the
// engine bolt, and encrypted under the master key. `calleridp backup` makes one at any time.
type Backup struct {
	// Dir is the directory of the backups, which the server creates. Choose one on another
	// disk, or copy the files elsewhere. Default backups in data_dir.
	Dir string `yaml:"dir"`
	// Every is how old the newest backup becomes before the server makes the next one. If
	// unset, the server makes none by itself.
	Every Duration `yaml:"every"`
	// Keep is how many backups stay in dir; the oldest ones are deleted. Default 7.
	Keep Count `yaml:"keep"`
}

// Lifetimes are how long attempts, codes, tokens and sessions are valid.
type Lifetimes struct {
	Attempt      Duration `yaml:"attempt"`       // from the number to the approval on the phone. Default 5m.
	Code         Duration `yaml:"code"`          // an authorization code. Default 60s, at most 10m.
	IDToken      Duration `yaml:"id_token"`      // an ID token. Default 1h, at least 5m.
	AccessToken  Duration `yaml:"access_token"`  // an access token. Default 1h.
	RefreshIdle  Duration `yaml:"refresh_idle"`  // an unused refresh token. Default 30d, or refresh_max if that is shorter.
	RefreshMax   Duration `yaml:"refresh_max"`   // all refresh tokens of a sign-in. Default 180d.
	RefreshGrace Duration `yaml:"refresh_grace"` // how long a used refresh token still returns its successor. Default 45s.
	Session      Duration `yaml:"session"`       // a browser session. Default 24h.
}

// Subject controls when a number belongs to a new user.
type Subject struct {
	// ReuseAfter is the time without a sign-in after which a number counts as a new
	// user's, if no profile identifies its owner. If unset, it never does.
	ReuseAfter Duration `yaml:"reuse_after"`
}

// Keys configures the signing keys.
type Keys struct {
	RotateEvery   Duration `yaml:"rotate_every"`   // how long a key signs. Default 30d.
	PublishBefore Duration `yaml:"publish_before"` // how long a key is published before it signs, because clients cache keys. Default 24h, or rotate_every if that is shorter.

	// Algorithms are the algorithms that have signing keys, of RS256, RS384, RS512, PS256,
	// PS384, PS512, ES256, ES384, ES512 and EdDSA. Default [RS256, ES256, EdDSA]. RS256
	// must be among them. Each has keys of its own, and a place in the JWKS. Some clients
	// cannot read a JWKS with a type of key that they do not know; [RS256] suits them.
	// Clients that use another algorithm are refused.
	Algorithms []string `yaml:"algorithms"`
	// DangerouslyUnsignedIDTokens lets clients register for ID tokens without a signature
	// (id_token_signed_response_alg none), which anybody can forge who reaches the client
	// other than through its own request to the token endpoint. For test suites.
	DangerouslyUnsignedIDTokens bool `yaml:"dangerously_unsigned_id_tokens"`
}

// Log configures logging to standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info (default), warn or error.
	Format string `yaml:"format"` // json (default) or text.
}
