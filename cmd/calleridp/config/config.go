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

	// Signals configures what applications learn of their users after the sign-in.
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

// Tracing sends traces of requests and sign-ins to an OpenTelemetry collector, as OTLP over
// HTTP. The variables of OpenTelemetry (OTEL_...) are not read.
type Tracing struct {
	// Endpoint is the collector's URL, with its path, like
	// http://127.0.0.1:4318/v1/traces. If unset, nothing is traced.
	Endpoint string `yaml:"endpoint"`
	// Sample is the share of traces that are recorded, above 0 and up to 1. All servers
	// with the same share record the same sign-ins. Default 1.
	Sample Share `yaml:"sample"`
	// HeadersFile is the file with headers of requests to the collector, like its key: one
	// a line, as Name: value. CALLERIDP_TRACING_HEADERS may hold them instead.
	HeadersFile string      `yaml:"headers_file"`
	Headers     redact.Text `yaml:"headers" secret:"environment"`
	// CAFile is the file with the certificates (PEM) that may have signed the collector's.
	// Default those of the system.
	CAFile string `yaml:"ca_file"`
}

// Storage configures where the server keeps its records. The keys after engine are for
// postgres only.
type Storage struct {
	// Engine is bolt, a file in data_dir for one server, or postgres, a PostgreSQL
	// database (15 to 18) for any number of servers. Default bolt.
	Engine string `yaml:"engine"`
	// DSNFile is the file with the connection string, like
	// postgres://calleridp:PASSWORD@db.example.com/calleridp?sslmode=verify-full. It may
	// name several hosts; the one that takes changes is used. Connections over a network
	// must check the server's certificate (sslmode=verify-full). Required, unless
	// CALLERIDP_STORAGE_DSN holds it.
	DSNFile string      `yaml:"dsn_file"`
	DSN     redact.Text `yaml:"dsn" secret:"environment"`
	// MaxConnections is how many connections each server opens, besides two: one listens,
	// and one says which callbacks the server works on. Default 20.
	MaxConnections Count `yaml:"max_connections"`
	// Isolation is the level of transactions: read_committed, or serializable for
	// databases that have no other. Default read_committed.
	Isolation string `yaml:"isolation"`
	// StatementTimeout is how long a statement may take. Default 10s.
	StatementTimeout Duration `yaml:"statement_timeout"`
	// LockTimeout is how long a statement waits for another transaction, at most
	// statement_timeout. Default 5s.
	LockTimeout Duration `yaml:"lock_timeout"`
	// PoolTimeout is how long a request waits for a connection while all are in use, or
	// none can be made. Default 5s.
	PoolTimeout Duration `yaml:"pool_timeout"`
	// Pooler is transaction if connections go through a pooler in transaction mode, like
	// PgBouncer, else none. Set the timeouts for the database's user then, with ALTER
	// ROLE. Default none.
	Pooler string `yaml:"pooler"`
	// ListenDSNFile is the file with the connection string of the one connection that
	// bypasses the pooler, to hear at once what other servers change. If unset, a server
	// behind a pooler looks twice a second.
	ListenDSNFile string      `yaml:"listen_dsn_file"`
	ListenDSN     redact.Text `yaml:"listen_dsn" secret:"environment"`
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

// TLS is the server's certificate: from files, which are read again when they change, or
// from an ACME server. Without either the server speaks plain HTTP and must run behind a
// proxy that terminates TLS.
type TLS struct {
	// CertFile is the file with the certificate and its chain (PEM).
	CertFile string `yaml:"cert_file"`
	// KeyFile is the file with the private key (PEM).
	KeyFile string `yaml:"key_file"`
	// ACME obtains the certificate, and renews it.
	ACME ACME `yaml:"acme"`
	// HTTPListen is the address of a second listener, for plain HTTP, like :80. It redirects
	// browsers that open the issuer's host to https, and answers ACME's challenge HTTP-01. If
	// unset, there is none.
	HTTPListen string `yaml:"http_listen"`
	// HSTS is how long browsers that were here use https alone (RFC 6797), also behind a
	// proxy; 0s sends no such header. Default 365d if the issuer is https.
	HSTS Delay `yaml:"hsts"`
	// HTTP1Only offers browsers no HTTP/2. A page that waits for an approval then needs
	// about 12 KiB of memory and not 65.
	HTTP1Only bool `yaml:"http1_only"`
}

// ACME obtains the certificate of the issuer's host from an ACME server (RFC 8555), for one
// server with the embedded store. Account and certificate are kept in the folder acme of
// data_dir. See docs/operators.md.
type ACME struct {
	// Directory is the directory URL of the ACME server, like
	// https://acme-v02.api.letsencrypt.org/directory. If unset, there is no ACME.
	Directory string `yaml:"directory"`
	// AcceptTerms says that you accept the terms of service of the ACME server. Required.
	AcceptTerms bool `yaml:"accept_terms"`
	// Email is the address to which the ACME server may write. Optional.
	Email string `yaml:"email"`
	// CAFile is the file with the root certificates (PEM) that the ACME server's own
	// certificate is checked against, for a private one. Default those of the system.
	CAFile string `yaml:"ca_file"`
	// KeyID is the key identifier of an external account (RFC 8555 section 7.3.4), for ACME
	// servers that require one.
	KeyID string `yaml:"key_id"`
	// MACKeyFile is the file with its MAC key, in base64url. Required with key_id, unless
	// CALLERIDP_TLS_ACME_MAC_KEY holds it.
	MACKeyFile string      `yaml:"mac_key_file"`
	MACKey     redact.Text `yaml:"mac_key" secret:"environment"`
}

// AdminTLS is the certificate of admin_listen. Its files are read again when they change.
type AdminTLS struct {
	// CertFile is the file with the certificate and its chain (PEM).
	CertFile string `yaml:"cert_file"`
	// KeyFile is the file with the private key (PEM).
	KeyFile string `yaml:"key_file"`
}

// Truecaller is a registration in Truecaller's developer portal. Register
// ISSUER/callback/ID/CALLBACK_SECRET there as the callback URL.
type Truecaller struct {
	// ID identifies the app in this file and in the callback URL: letters, digits,
	// '-', '_' and '.'. Default "default"; required in truecaller_apps.
	ID string `yaml:"id"`
	// AppName is the name that the phone shows; our pages show it too. Required.
	AppName string `yaml:"app_name"`
	// AppKeyFile is the file with the appKey. Required, unless
	// CALLERIDP_TRUECALLER_APP_KEY holds it.
	AppKeyFile string      `yaml:"app_key_file"`
	AppKey     redact.Text `yaml:"app_key" secret:"environment"`
	// CallbackSecretFile is the file with the secret last part of the callback URL:
	// at least 32 letters and digits, for example from `openssl rand -hex 32`.
	// Required, unless CALLERIDP_TRUECALLER_CALLBACK_SECRET holds it. The file is
	// read again when it changes. The previous secret stays valid for an hour, even
	// across a restart, so that you can change the URL in the portal meanwhile.
	CallbackSecretFile string      `yaml:"callback_secret_file"`
	CallbackSecret     redact.Text `yaml:"callback_secret" secret:"environment"`
	// Methods are the ways to sign in: push (users type their number and approve on
	// their phone), onetap (on Android phones, a button opens Truecaller) and native
	// (Android applications with Truecaller's SDK, which bring its codes to the token
	// endpoint). Default push. An app with only native needs neither app_key nor
	// callback_secret. With onetap, the appKey is part of a public link and not a
	// secret.
	Methods []string `yaml:"methods"`
	// OneTap configures the dialog that the button opens.
	OneTap OneTap `yaml:"onetap"`
	// NativeClientID is the OAuth client id that Truecaller's portal shows for an
	// Android app. Required for the method native.
	NativeClientID string `yaml:"native_client_id"`
	// OAuthURL is the base URL at which codes of native applications are redeemed
	// and their profiles fetched. Default https://oauth-account-noneu.truecaller.com.
	OAuthURL string `yaml:"oauth_url"`
	// APIURL is the base URL to which pushes are sent. Default
	// https://api4.truecaller.com.
	APIURL string `yaml:"api_url"`
	// ProfileURLs are the base URLs from which profiles may be fetched. A callback can
	// only choose among them; the first is used if it names none. Default
	// https://profile4.truecaller.com and its -noneu and -eu siblings.
	ProfileURLs []string `yaml:"profile_urls"`
	// Timeout bounds one request to Truecaller, for all apps. Default 5s.
	Timeout Duration `yaml:"timeout"`
}

// OneTap is Truecaller's own dialog, with a fixed vocabulary.
type OneTap struct {
	// PartnerName is the name under which the dialog shows us. Default app_name.
	PartnerName string `yaml:"partner_name"`
	// LoginPrefix begins the title: getstarted, continue (default), placeorder,
	// completepurchase, checkout, completebooking, proceedwithbooking,
	// continuewith, getdetails, viewmore, continuereading or proceed.
	LoginPrefix string `yaml:"login_prefix"`
	// LoginSuffix completes the title: verifymobile, login (default), signup,
	// loginsignup, register or signin.
	LoginSuffix string `yaml:"login_suffix"`
	// CTAPrefix precedes the number on the button: use, continuewith (default) or
	// proceedwith.
	CTAPrefix string `yaml:"cta_prefix"`
	// CTAColor is the colour of the button, like "#0066CC". Default Truecaller's.
	CTAColor string `yaml:"cta_color"`
	// CTATextColor is the colour of its text.
	CTATextColor string `yaml:"cta_text_color"`
	// BtnShape is its shape: round or rect.
	BtnShape string `yaml:"btn_shape"`
	// SkipOption is the alternative below the button: useanothernum (default),
	// useanothermethod, manualdetails or later.
	SkipOption string `yaml:"skip_option"`
	// TTL is the time after which the dialog closes by itself, from 8s to 10m. If
	// unset, it stays open.
	TTL Duration `yaml:"ttl"`
	// PrivacyURL links to your privacy policy. Default the client's.
	PrivacyURL string `yaml:"privacy_url"`
	// TermsURL links to your terms of service. Default the client's.
	TermsURL string `yaml:"terms_url"`
	// SeveralNumbers decides about profiles with more than one number: refuse
	// (default) or first, which takes the first.
	SeveralNumbers string `yaml:"several_numbers"`
}

// Registration configures clients that register themselves: OpenID Connect Dynamic Client
// Registration 1.0, RFC 7591, RFC 7592.
type Registration struct {
	// Mode says who may register clients: closed (default), nobody; token, who has an
	// initial access token, from `calleridp registration-token add`; open, anybody.
	Mode string `yaml:"mode"`
	// AllowedOrigins are the origins of pages that may call the registration endpoint (CORS).
	// If unset, none.
	AllowedOrigins []string `yaml:"allowed_origins"`
	// Network is how often registrations and changes may be tried from one IPv4 address or
	// IPv6 /64; from a /56 four times, from a /48 sixteen times as often. Default 20/1h.
	Network Rate `yaml:"network"`
	// Deployment is how many clients may register. Default 100/1h.
	Deployment Rate `yaml:"deployment"`
	// Max is how many clients may be registered at once. Default 1000.
	Max Count `yaml:"max"`
	// UnusedFor is how long a client may stay that nobody has signed in to. Default 7d. When
	// there are max clients, the oldest such one gives its place to the next after an hour,
	// unless it was registered with an initial access token.
	UnusedFor Duration `yaml:"unused_for"`
	// ShowLogos shows the logos of clients that registered themselves on the pages, beside
	// name and host. Default false: nothing proves that a logo is theirs, so that one may
	// take the logo of a bank.
	ShowLogos bool `yaml:"show_logos"`
	// DangerouslyWithoutPKCE excuses confidential clients that registered themselves from PKCE,
	// as long as it is set, for test suites that do not know PKCE.
	DangerouslyWithoutPKCE bool `yaml:"dangerously_without_pkce"`
}

// Console configures the operators' console, a web interface at admin_listen. Operators
// sign in to it with their phone, by this server.
type Console struct {
	// URL is where browsers reach admin_listen: https, host and port, without a path, like
	// https://admin.example.com:9443. Give it a host name of its own: cookies do not
	// tell ports apart. If unset, there is no console.
	URL string `yaml:"url"`
	// Numbers are the phone numbers of operators who may do everything, in international
	// format, like +46701740605. The first user who signs in to the console with a number
	// is its operator from then on.
	Numbers []Number `yaml:"numbers"`
	// Viewers are those of operators who may look at everything and change nothing.
	Viewers []Number `yaml:"viewers"`
	// Subs are users who are operators although their number had another user first, for
	// example after they have erased themselves.
	Subs []string `yaml:"subs"`
}

// DeviceFlow configures sign-in on devices without a browser, like televisions (RFC 8628):
// the device shows a code, and its user enters it in a browser, at ISSUER/device. Each
// client that may use it has device_flow. See the warning in docs/operators.md.
type DeviceFlow struct {
	// Enabled turns the flow on. Default false.
	Enabled bool `yaml:"enabled"`
	// Lifetime is how long a device waits for its user, from 1m to 30m. Default 10m.
	Lifetime Duration `yaml:"lifetime"`
	// Interval is how long a device waits between two requests, from 1s to 1m. Default 5s.
	Interval Duration `yaml:"interval"`
	// Network is how many sign-ins devices may begin from one IPv4 address or IPv6 /64; from
	// a /56 four times, from a /48 sixteen times as many. Default 60/1h.
	Network Rate `yaml:"network"`
	// Client is how many the devices of one client may begin. Default 3000/1h.
	Client Rate `yaml:"client"`
	// Deployment is how many all devices may begin. Codes are the easier to guess, the more
	// there are. Default 10000/1h.
	Deployment Rate `yaml:"deployment"`
	// UserCodes is how many codes may be entered from one IPv4 address or IPv6 /64, with the
	// wider networks as in network. Default 20/1h.
	UserCodes Rate `yaml:"user_codes"`
}

// Signals configures the transmitter of the OpenID Shared Signals Framework 1.0: applications
// hear that a session was revoked, that a number has another user, or that an account was
// deleted. Each client that may have a stream of events has signals. See docs/signals.md.
type Signals struct {
	// Enabled turns the transmitter on. Default false.
	Enabled bool `yaml:"enabled"`
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

// UI configures the pages.
type UI struct {
	// Name is the name of this service on the pages. Default app_name of truecaller.
	Name string `yaml:"name"`
	// LogoFile is the file with its logo: SVG, PNG or WebP, at most 64 kB. If unset,
	// the pages show no logo.
	LogoFile string `yaml:"logo_file"`
	// Colour is the accent colour of buttons and links, like "#0066cc"; refused if its
	// contrast is too low to read (WCAG 2.2 AA). Default a blue.
	Colour string `yaml:"colour"`
	// ColourDark is the accent colour in the dark theme. Default derived from colour.
	ColourDark string `yaml:"colour_dark"`
	// PrivacyURL links to your privacy policy on every page. If unset, no link is
	// shown.
	PrivacyURL string `yaml:"privacy_url"`
	// TermsURL links to your terms of service on every page. If unset, no link is
	// shown.
	TermsURL string `yaml:"terms_url"`
	// OverridesDir is a directory with your own texts, templates and style: see
	// docs/pages.md. They are checked at the start. If unset, the built-in ones are
	// used.
	OverridesDir string `yaml:"overrides_dir"`
}

// Limits are the rate limits: how often users' phones may be prompted.
type Limits struct {
	// Lock is how long a number stays locked for one open request, and for everybody after
	// its user declined one. It should be at least lifetimes.attempt. Default 5m.
	Lock Duration `yaml:"lock"`
	// AfterApproval is how long a number stays locked after its user approved, for
	// other browsers than the one that was approved: the next prompt on the phone
	// would look like the last one. Default 2m.
	AfterApproval Duration `yaml:"after_approval"`
	// CoolDown is how long a number cools down after its user declined a request, or did
	// not respond to two. It doubles with each further one, up to cool_down_max. Meanwhile
	// a browser that has not signed in with the number must solve a challenge, whatever
	// limits.challenge says. An approval ends it. A browser that has signed in with it must
	// solve one for cool_down after a decline of its own request only. After a decline,
	// each waits for lock first. It should be at least lock. Default 15m.
	CoolDown Duration `yaml:"cool_down"`
	// CoolDownMax is the longest cool-down. After each such time without a request, one is
	// forgotten. Default 4h, or cool_down if that is longer.
	CoolDownMax Duration `yaml:"cool_down_max"`
	// Number is how many requests to one number browsers may send that have not signed in
	// with it, all together. A request that its user approves does not count. Default 10/24h.
	Number Rate `yaml:"number"`
	// NumberPerNetwork is how many of them may come from one IPv4 address or IPv6 /64; from
	// an IPv4 /24 and an IPv6 /48, twice as many. So one network cannot use up a number's
	// requests, and the number stays open to others. Default three tenths of number, but at
	// least 3 if number is: 3/24h.
	NumberPerNetwork Rate `yaml:"number_per_network"`

	Device     Rate `yaml:"device"`     // requests to one number from a browser that has signed in with it before, whatever other browsers do. Default twice number.
	Network    Rate `yaml:"network"`    // requests from one IPv4 address or IPv6 /64; from browsers that know their number, as many again. Default 30/1h.
	Network56  Rate `yaml:"network_56"` // requests from one IPv6 /56. Default four times network.
	Network48  Rate `yaml:"network_48"` // requests from one IPv6 /48. Default sixteen times network.
	Client     Rate `yaml:"client"`     // requests through one client. Default 3000/1h.
	Deployment Rate `yaml:"deployment"` // all requests. Default 10000/1h.

	// One-tap and native sign-ins ring no phone, and spend nothing that requests to
	// phones need.

	SilentNetwork    Rate `yaml:"silent_network"`    // one-tap and native sign-ins, which ring no phone, from one IPv4 address or IPv6 /64; from a /56 four times, from a /48 sixteen times as many. Default as network.
	SilentClient     Rate `yaml:"silent_client"`     // one-tap and native sign-ins through one client. Default as client.
	SilentDeployment Rate `yaml:"silent_deployment"` // all one-tap and native sign-ins. Default as deployment.

	// Challenge requires browsers to solve a small task (proof of work) before a push
	// is sent: off (default: only while a number cools down), auto (also when half of a
	// budget is spent that it shares with others: its network's, the client's or the
	// deployment's) or always. This server creates and checks the task; no third party is involved. It
	// needs JavaScript; without it, the page says when to try again.
	Challenge string `yaml:"challenge"`
	// ChallengeBits is its difficulty, from 8 to 22; each step doubles the work.
	// Default 18: under a second on a computer, a few seconds on a simple phone.
	ChallengeBits Bits `yaml:"challenge_bits"`
}

// Connections are the limits of connections to listen. At a limit, a new connection
// takes the place of the one that has waited longest for a request. If all are in use,
// requests on new ones get 503, except callbacks and health checks.
type Connections struct {
	Max        Count `yaml:"max"`         // all connections. Each waiting page has one, and each needs an open file of the process (LimitNOFILE of systemd). Default 20000.
	PerNetwork Count `yaml:"per_network"` // connections from one IPv4 address or IPv6 /64; those of trusted_proxies are not limited. Default 1000, or max if that is less.
}

// Drain configures how the server stops.
type Drain struct {
	// ReadyDelay is how long the server goes on serving after the signal to stop, while
	// /readyz responds with 503: until load balancers have noticed. Requests under way
	// then have 10s to finish. Default 5s; 0s for none.
	ReadyDelay Delay `yaml:"ready_delay"`
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
