package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/limit"
)

// Config is the configuration file, a YAML document. Unknown keys are refused.
// docs/configuration.md is made of these comments.
//
// Every key but clients and truecaller_apps can also come from the environment, which wins:
// CALLERIDP_ and the key in capitals, with underscores between the levels, as in
// CALLERIDP_ISSUER or CALLERIDP_TRUECALLER_APP_NAME. Lists are separated by
// commas there. An empty variable counts as none.
//
// Secrets come from files (the keys that end in _file) or from the environment
// (the same key without _file), never from the document itself.
//
// Times are written like 90s, 15m, 12h or 30d. Rates are written like 10/1h: ten
// at once, and ten more in each hour.
type Config struct {
	// Issuer is how clients and browsers reach this server: https, host and port,
	// without a path or a trailing slash. Clients compare it byte for byte; it is
	// fixed at the first start. Plain http is accepted on loopback only. Required.
	Issuer string `yaml:"issuer"`

	// Listen is the address to listen on. Default ":8443".
	Listen string `yaml:"listen"`

	// TLS is the server's certificate.
	TLS TLSConfig `yaml:"tls"`

	// TrustedProxies are the networks (CIDR) whose X-Forwarded-For is believed.
	// Default none: the address of the connection counts.
	TrustedProxies []string `yaml:"trusted_proxies"`

	// DataDir is where the store and the admin socket are: a local disk, writable
	// by the server alone. Required.
	DataDir string `yaml:"data_dir"`

	// MasterKeyFile has the key under which everything in the store is sealed;
	// `calleridp keys init-master --out FILE` makes one. Keep a copy elsewhere:
	// without it the store cannot be read. Required, or CALLERIDP_MASTER_KEY with
	// the key itself.
	MasterKeyFile string `yaml:"master_key_file"`
	MasterKey     string `yaml:"master_key" secret:"environment"`

	// Truecaller is the app that was registered in Truecaller's developer portal,
	// for all clients that name no other.
	Truecaller TruecallerConfig `yaml:"truecaller"`

	// TruecallerApps are more of them, for clients that name one with
	// truecaller_app: each has an id and the keys of truecaller, but timeout. The
	// phone shows that app's name. Their secrets come from files only.
	TruecallerApps []TruecallerConfig `yaml:"truecaller_apps"`

	// DefaultRegion is the country in which national phone numbers are read, two
	// capital letters (ISO 3166-1), unless the person chooses another. A client may
	// have its own. Default none: the page proposes that of the browser's language,
	// and asks whether it was right.
	DefaultRegion string `yaml:"default_region"`

	// Countries are those that the page's list of countries starts with, like
	// [IN, SE]; all others follow. A client may have its own. Without a
	// default_region only these are proposed. Default none.
	Countries []string `yaml:"countries"`

	// Clients are applications declared here. More can be added while the server
	// runs, with `calleridp client add`.
	Clients []ClientConfig `yaml:"clients"`

	// Lifetimes are how long things last.
	Lifetimes LifetimesConfig `yaml:"lifetimes"`

	// UI is how the pages look.
	UI UIConfig `yaml:"ui"`

	// Limits bound how often phones are asked.
	Limits LimitsConfig `yaml:"limits"`

	// Subject is about whose a number is.
	Subject SubjectConfig `yaml:"subject"`

	// Keys is about the signing keys.
	Keys KeysConfig `yaml:"keys"`

	// Log is about the log.
	Log LogConfig `yaml:"log"`

	// CountryDatabase is a file in MaxMind's format (.mmdb) that tells the country
	// of a network. People then see on their account page from which country they
	// signed in. Nothing is asked of anybody. Default none.
	CountryDatabase string `yaml:"country_database"`

	// AdminSocket is where the calleridp commands reach the server. Default
	// admin.sock in data_dir.
	AdminSocket string `yaml:"admin_socket"`

	// MetricsListen serves metrics for Prometheus at /metrics: a loopback or private
	// address of this machine and a port of its own, like 127.0.0.1:9464. Default
	// off.
	MetricsListen string `yaml:"metrics_listen"`

	// DebugListen serves Go's profiles at /debug/pprof/, on loopback only. Default
	// off.
	DebugListen string `yaml:"debug_listen"`
}

// TLSConfig is the server's certificate. The files are read again when they
// change. Without it the server speaks plain HTTP and must stand behind a proxy
// that speaks TLS.
type TLSConfig struct {
	// CertFile has the certificate and its chain, PEM.
	CertFile string `yaml:"cert_file"`
	// KeyFile has its private key, PEM.
	KeyFile string `yaml:"key_file"`
}

// TruecallerConfig is one registration in Truecaller's developer portal. Register
// there as callback URL: ISSUER/callback/ID/CALLBACK_SECRET.
type TruecallerConfig struct {
	// ID is our own name for the app: letters, digits, '-', '_' and '.'. Default
	// "default"; required in truecaller_apps.
	ID string `yaml:"id"`
	// AppName is what the phone shows; it appears on our pages. Required.
	AppName string `yaml:"app_name"`
	// AppKeyFile has the appKey. Required, or CALLERIDP_TRUECALLER_APP_KEY.
	AppKeyFile string `yaml:"app_key_file"`
	AppKey     string `yaml:"app_key" secret:"environment"`
	// CallbackSecretFile has the secret last part of the callback address: at
	// least 32 letters and digits, for example from `openssl rand -hex 32`.
	// Required, or CALLERIDP_TRUECALLER_CALLBACK_SECRET. The file is read again
	// when it changes; the secret before stays good for an hour, also over a
	// restart, so that the address can be changed in the portal meanwhile.
	CallbackSecretFile string `yaml:"callback_secret_file"`
	CallbackSecret     string `yaml:"callback_secret" secret:"environment"`
	// Methods are the ways to reach people: push (they type their number and the
	// phone rings), onetap (on Android phones, a button opens Truecaller) and native
	// (Android applications with Truecaller's SDK, which bring its codes to the token
	// endpoint). Default push. An app with native alone needs neither app_key nor
	// callback_secret. With onetap the appKey is part of a link that everybody can
	// read: it is no secret then.
	Methods []string `yaml:"methods"`
	// OneTap is how Truecaller's dialog looks when the button opens it.
	OneTap OneTapConfig `yaml:"onetap"`
	// NativeClientID is the OAuth client id that Truecaller's portal shows for an
	// Android app. Required for the method native.
	NativeClientID string `yaml:"native_client_id"`
	// OAuthURL is where codes of native applications are redeemed, and their
	// profiles fetched. Default https://oauth-account-noneu.truecaller.com.
	OAuthURL string `yaml:"oauth_url"`
	// APIURL is where pushes are asked for. Default https://api4.truecaller.com.
	APIURL string `yaml:"api_url"`
	// ProfileURLs are where profiles may be fetched; a callback can only choose
	// among them, and the first is used when it names none. Default
	// https://profile4.truecaller.com and its -noneu and -eu siblings.
	ProfileURLs []string `yaml:"profile_urls"`
	// Timeout of one request to Truecaller, for all apps. Default 5s.
	Timeout duration `yaml:"timeout"`
}

// OneTapConfig is Truecaller's own dialog, in Truecaller's own words.
type OneTapConfig struct {
	// PartnerName is what the dialog calls us. Default app_name.
	PartnerName string `yaml:"partner_name"`
	// LoginPrefix starts the title: getstarted, continue (default), placeorder,
	// completepurchase, checkout, completebooking, proceedwithbooking,
	// continuewith, getdetails, viewmore, continuereading or proceed.
	LoginPrefix string `yaml:"login_prefix"`
	// LoginSuffix ends it: verifymobile, login (default), signup, loginsignup,
	// register or signin.
	LoginSuffix string `yaml:"login_suffix"`
	// CTAPrefix stands on the button before the number: use, continuewith
	// (default) or proceedwith.
	CTAPrefix string `yaml:"cta_prefix"`
	// CTAColor fills the button, like "#0066CC". Default Truecaller's.
	CTAColor string `yaml:"cta_color"`
	// CTATextColor is the colour of its text.
	CTATextColor string `yaml:"cta_text_color"`
	// BtnShape is its shape: round or rect.
	BtnShape string `yaml:"btn_shape"`
	// SkipOption is the way out below it: useanothernum (default),
	// useanothermethod, manualdetails or later.
	SkipOption string `yaml:"skip_option"`
	// TTL is after how long the dialog goes away by itself, from 8s to 10m.
	// Default never.
	TTL duration `yaml:"ttl"`
	// PrivacyURL is your privacy page, linked in it. Default the client's.
	PrivacyURL string `yaml:"privacy_url"`
	// TermsURL are your terms. Default the client's.
	TermsURL string `yaml:"terms_url"`
	// SeveralNumbers says what to do when a profile has more than one number:
	// refuse (default) or first.
	SeveralNumbers string `yaml:"several_numbers"`
}

// ClientConfig is an application (RFC 7591).
type ClientConfig struct {
	// ID is its client_id. Required.
	ID string `yaml:"client_id"`
	// Name is what people see. Required.
	Name string `yaml:"name"`
	// SecretFile has its client_secret. A confidential client needs one.
	SecretFile string `yaml:"secret_file"`
	// Secret is the same in the clear, accepted by `calleridp dev` only.
	Secret string `yaml:"secret" secret:"dev"`
	// Public says that it cannot keep a secret: a browser or phone application.
	Public bool `yaml:"public"`
	// Native says that it is an Android application with Truecaller's SDK, which
	// brings the SDK's codes to the token endpoint (token exchange, RFC 8693). Its
	// Truecaller app must have the method native.
	Native bool `yaml:"native"`
	// RedirectURIs are where people may be sent back to, compared whole. Required,
	// unless it is native: without them nobody signs in there through a browser.
	RedirectURIs []string `yaml:"redirect_uris"`
	// PostLogoutRedirectURIs are the same after signing out.
	PostLogoutRedirectURIs []string `yaml:"post_logout_redirect_uris"`
	// AllowedOrigins are browser applications that may call the token endpoint and
	// userinfo (CORS).
	AllowedOrigins []string `yaml:"allowed_origins"`
	// Scopes are those that it may ask for: openid, profile, email, phone, address,
	// truecaller, offline_access. Default all.
	Scopes []string `yaml:"scopes"`
	// IDTokenAlg signs its ID tokens: RS256 (default), ES256 or EdDSA.
	IDTokenAlg string `yaml:"id_token_signed_response_alg"`
	// SubjectType is public (default) or pairwise: another sub for each sector.
	SubjectType string `yaml:"subject_type"`
	// SectorHost is the sector of a pairwise client whose redirect URIs have
	// several hosts.
	SectorHost string `yaml:"sector_host"`
	// TruecallerApp is the id of the Truecaller app that asks its people. Default
	// that of truecaller.
	TruecallerApp string `yaml:"truecaller_app"`
	// Consent says when people are asked whether this application may have what it
	// asks for: none (default), for your own applications; remember, once and again
	// when it asks for more; always. A request with prompt=consent always asks.
	Consent string `yaml:"consent"`
	// Region overrides default_region.
	Region string `yaml:"region"`
	// Countries override those of the deployment.
	Countries []string `yaml:"countries"`
	// DefaultMaxAge is the max_age of requests that name none: a sign-in that is
	// older is not good enough for this client. Default none.
	DefaultMaxAge duration `yaml:"default_max_age"`
	// LogoURI is its logo, https, shown to people like the next three.
	LogoURI string `yaml:"logo_uri"`
	// URI is its home page.
	URI string `yaml:"client_uri"`
	// TOSURI is its terms of service.
	TOSURI string `yaml:"tos_uri"`
	// PolicyURI is its privacy policy.
	PolicyURI string `yaml:"policy_uri"`
	// Colour is the accent of the pages that people see on their way to it, like
	// "#0066cc"; refused when it cannot be read. Default that of ui.
	Colour string `yaml:"colour"`
	// ColourDark is the same in the dark theme. Default made of colour.
	ColourDark string `yaml:"colour_dark"`
	// DangerouslyWithoutPKCE excuses an old confidential client from PKCE. Codes
	// stolen on their way to it can be used.
	DangerouslyWithoutPKCE bool `yaml:"dangerously_without_pkce"`
}

// LifetimesConfig is how long things last.
type LifetimesConfig struct {
	Attempt      duration `yaml:"attempt"`       // from the number to the answer on the phone. Default 5m.
	Code         duration `yaml:"code"`          // an authorization code. Default 60s, at most 10m.
	IDToken      duration `yaml:"id_token"`      // an ID token. Default 1h, at least 5m.
	AccessToken  duration `yaml:"access_token"`  // an access token. Default 1h.
	RefreshIdle  duration `yaml:"refresh_idle"`  // a refresh token that is not used. Default 30d, or refresh_max if that is shorter.
	RefreshMax   duration `yaml:"refresh_max"`   // all refreshing, from the sign-in. Default 180d.
	RefreshGrace duration `yaml:"refresh_grace"` // a used refresh token still gives its successor. Default 45s.
	Session      duration `yaml:"session"`       // a signed-in browser. Default 24h.
}

// UIConfig is how the pages look.
type UIConfig struct {
	// Name is what the pages call this service. Default app_name of truecaller.
	Name string `yaml:"name"`
	// LogoFile has its logo: SVG, PNG or WebP, at most 64 kB. Default none.
	LogoFile string `yaml:"logo_file"`
	// Colour is the accent, that of buttons and links, like "#0066cc"; refused when
	// it cannot be read (WCAG 2.2 AA). Default a blue.
	Colour string `yaml:"colour"`
	// ColourDark is the same in the dark theme. Default made of colour.
	ColourDark string `yaml:"colour_dark"`
	// PrivacyURL is linked on every page. Default none.
	PrivacyURL string `yaml:"privacy_url"`
	// TermsURL is linked on every page. Default none.
	TermsURL string `yaml:"terms_url"`
	// OverridesDir has texts, templates and style of your own: see docs/pages.md.
	// They are checked at the start. Default none.
	OverridesDir string `yaml:"overrides_dir"`
}

// LimitsConfig bounds how often phones are asked.
type LimitsConfig struct {
	Lock       duration `yaml:"lock"`       // one open request per number. Default 5m.
	CoolDown   duration `yaml:"cool_down"`  // how long a number is left in peace after it was declined on the phone. Default 15m.
	Number     rate     `yaml:"number"`     // requests to one number. Default 10/24h.
	Network    rate     `yaml:"network"`    // from one IPv4 address or IPv6 /64. Default 30/1h.
	Client     rate     `yaml:"client"`     // through one client. Default 3000/1h.
	Deployment rate     `yaml:"deployment"` // in all. Default 10000/1h.

	// Challenge makes browsers solve a small task (proof of work) before a phone
	// is asked: off (default), auto (when half of its network's budget is spent)
	// or always. It is made and checked here, without any third party, and needs
	// JavaScript; people without it are told when to come back.
	Challenge string `yaml:"challenge"`
	// ChallengeBits is how hard it is, from 8 to 22; one more is twice the work.
	// Default 18: under a second on a computer, a few seconds on a simple phone.
	ChallengeBits bits `yaml:"challenge_bits"`
}

// SubjectConfig is about whose a number is.
type SubjectConfig struct {
	// ReuseAfter is after how long without a sign-in a number is taken for a new
	// person's, where no profile says who it is. Default never.
	ReuseAfter duration `yaml:"reuse_after"`
}

// KeysConfig is about the signing keys.
type KeysConfig struct {
	RotateEvery   duration `yaml:"rotate_every"`   // how long a key signs. Default 30d.
	PublishBefore duration `yaml:"publish_before"` // how long a key is public before it signs, because clients cache keys. Default 24h, or rotate_every if that is shorter.
}

// LogConfig is about the log, which goes to standard error.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info (default), warn or error.
	Format string `yaml:"format"` // json (default) or text.
}

// duration is a time.Duration that also knows days. The zero value means that nothing was said.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is not a time above zero; write it like 90s, 15m, 12h or 30d", s)
		}
		*d = duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a time above zero; write it like 90s, 15m, 12h or 30d", s)
	}
	*d = duration(v)
	return nil
}

// bits are a number of bits.
type bits int

func (b *bits) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 8)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a number of bits, like 18", text)
	}
	*b = bits(n)
	return nil
}

// rate is a limit.Rate written as 10/1h.
type rate limit.Rate

func (r *rate) UnmarshalText(text []byte) error {
	burst, period, ok := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(strings.TrimSpace(burst), 10, 31)
	var every duration
	if !ok || err != nil || n == 0 || every.UnmarshalText([]byte(strings.TrimSpace(period))) != nil {
		return fmt.Errorf("%q is not a rate; write it like 10/1h", text)
	}
	*r = rate{Burst: int(n), Period: time.Duration(every)}
	return nil
}
