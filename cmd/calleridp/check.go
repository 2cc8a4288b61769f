package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"calleridp/keys"
	"calleridp/provider"
	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
	"calleridp/ui/page"
)

// settings are the configuration, checked and ready for use.
type settings struct {
	Config
	master  *keys.Master
	apps    []truecaller.App // the first is that of clients that name none
	clients []client.Client
	proxies []netip.Prefix
	brand   page.Brand
	// countryDB is nil when none is configured.
	countryDB *countryDatabase
	level     slog.Level
}

func configCheck(_ context.Context, args []string, out io.Writer) error {
	f := flags("config check", "says everything that is wrong with a configuration", out)
	file := configFlag(f)
	if _, err := parse(f, args); err != nil {
		return err
	}
	s, err := configured(*file)
	if err != nil {
		return err
	}
	for _, text := range warnings(s) {
		fmt.Fprintf(out, "note: %s\n", text)
	}
	_, err = fmt.Fprintf(out, "%s is right\n", sourceName(*file))
	return err
}

// configured loads and checks the configuration: the file, if there is one, and
// the environment.
func configured(file string) (settings, error) {
	var c Config
	d := &decoder{where: map[string]string{}}
	if file != "" {
		if err := d.readDocument(file, "", &c); err != nil {
			return settings{}, err
		}
	}
	d.fromEnvironment(&c, os.LookupEnv)
	s := check(c, d)
	if len(d.problems) > 0 {
		return settings{}, &problems{Source: sourceName(file), All: d.problems}
	}
	return s, nil
}

func sourceName(file string) string {
	if file == "" {
		return "the configuration (of the environment alone; --config FILE names a file)"
	}
	return file
}

// check turns the configuration into settings. It adds every problem to d, each
// with its key and what to do. It reads the files that the configuration names
// and changes nothing.
func check(c Config, d *decoder) settings {
	d.decoded = len(d.problems)
	defaults(&c)
	s := settings{Config: c}
	if c.Issuer == "" {
		d.wrong("issuer", "missing; write the address by which browsers reach this server, like https://login.example.com")
	} else if err := provider.CheckIssuer(c.Issuer); err != nil {
		d.wrong("issuer", "%s", strings.TrimPrefix(err.Error(), "provider: issuer "))
	}
	if !isAddress(c.Listen) {
		d.wrong("listen", "%q is not an address like :8443 or 127.0.0.1:8080", c.Listen)
	}
	checkTLS(c.TLS, d)
	for i, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			d.wrong(fmt.Sprintf("trusted_proxies[%d]", i), "%q is not a network like 10.0.0.0/8 or 127.0.0.1/32", text)
		}
		s.proxies = append(s.proxies, p)
	}
	if c.DataDir == "" {
		d.wrong("data_dir", "missing; name a directory on a local disk, like /var/lib/calleridp")
	}
	if len(c.AdminSocket) > maxSocketPath {
		d.wrong("admin_socket", "%q is longer than %d bytes, which the system does not allow for a socket; name a shorter path", c.AdminSocket, maxSocketPath)
	}
	s.master = checkMaster(c, d)
	if c.DefaultRegion != "" && !phone.IsRegion(c.DefaultRegion) {
		d.wrong("default_region", "%q is not a country of two capital letters, like IN", c.DefaultRegion)
	}
	if text := client.CountriesProblem(c.Countries); text != "" {
		d.wrong("countries", "%s", text)
	}
	s.apps = checkApps(c, d)
	s.clients = checkClients(c.Clients, s.apps, d)
	s.brand = checkUI(c.UI, d)
	checkTimes(c, d)
	if c.CountryDatabase != "" {
		var err error
		if s.countryDB, err = openCountryDatabase(c.CountryDatabase); err != nil {
			d.wrong("country_database", "%s does not load: %v", c.CountryDatabase, err)
		}
	}
	checkChallenge(c.Limits, d)
	if err := s.level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		d.wrong("log.level", "%q: use debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		d.wrong("log.format", "%q: use json or text", c.Log.Format)
	}
	checkMetricsListen(c, d)
	if c.DebugListen != "" {
		host, _, _ := net.SplitHostPort(c.DebugListen)
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() || !isAddress(c.DebugListen) {
			d.wrong("debug_listen", "%q: give a loopback address and a port, like 127.0.0.1:6060", c.DebugListen)
		}
	}
	return s
}

// checkMetricsListen keeps the metrics where the world does not get to.
func checkMetricsListen(c Config, d *decoder) {
	if c.MetricsListen == "" {
		return
	}
	host, port, _ := net.SplitHostPort(c.MetricsListen)
	addr, err := netip.ParseAddr(host)
	_, public, _ := net.SplitHostPort(c.Listen)
	switch {
	case err != nil || !isAddress(c.MetricsListen) || !addr.IsLoopback() && !addr.IsPrivate():
		d.wrong("metrics_listen", "%q: give a loopback or private address and a port, like 127.0.0.1:9464 or 10.0.0.5:9464", c.MetricsListen)
	case port == public:
		d.wrong("metrics_listen", "%q: the world comes in at port %s; give the metrics another", c.MetricsListen, port)
	}
}

// maxSocketPath is what the system allows for the path of a Unix socket, in
// bytes; one is for the zero at its end.
var maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// warnings are what is allowed and probably not meant.
func warnings(s settings) []string {
	var texts []string
	if s.TLS.CertFile == "" && isHTTPS(s.Issuer) && len(s.TrustedProxies) == 0 {
		texts = append(texts, "trusted_proxies: none, and no tls either: behind a proxy everybody seems to come from the proxy's address and shares one limits.network budget")
	}
	files := []struct{ key, path string }{{"master_key_file", s.MasterKeyFile}, {"tls.key_file", s.TLS.KeyFile}}
	for _, app := range appsOf(s.Config) {
		if slices.Contains(app.Methods, methodPush) {
			files = append(files, struct{ key, path string }{app.key + ".app_key_file", app.AppKeyFile})
		}
		files = append(files, struct{ key, path string }{app.key + ".callback_secret_file", app.CallbackSecretFile})
	}
	for _, file := range files {
		if info, err := os.Stat(file.path); err == nil && info.Mode().Perm()&0o004 != 0 {
			texts = append(texts, fmt.Sprintf("%s: every user of this machine can read %s; chmod 600 it", file.key, file.path))
		}
	}
	return texts
}

// defaults fills in what was left out.
func defaults(c *Config) {
	orText := func(s *string, usual string) {
		if *s == "" {
			*s = usual
		}
	}
	orTime := func(d *duration, usual time.Duration) {
		if *d == 0 {
			*d = duration(usual)
		}
	}
	orRate := func(r *rate, burst int, period time.Duration) {
		if *r == (rate{}) {
			*r = rate(limit.Rate{Burst: burst, Period: period})
		}
	}
	const day = 24 * time.Hour
	orText(&c.Listen, ":8443")
	orText(&c.Log.Level, "info")
	orText(&c.Log.Format, "json")
	orText(&c.AdminSocket, filepath.Join(c.DataDir, "admin.sock"))
	orText(&c.Truecaller.ID, "default")
	appDefaults(&c.Truecaller)
	c.TruecallerApps = slices.Clone(c.TruecallerApps)
	for i := range c.TruecallerApps {
		appDefaults(&c.TruecallerApps[i])
	}
	orTime(&c.Truecaller.Timeout, 5*time.Second)
	orTime(&c.Lifetimes.Attempt, 5*time.Minute)
	orTime(&c.Lifetimes.Code, time.Minute)
	orTime(&c.Lifetimes.IDToken, time.Hour)
	orTime(&c.Lifetimes.AccessToken, time.Hour)
	orTime(&c.Lifetimes.RefreshMax, 180*day)
	orTime(&c.Lifetimes.RefreshIdle, min(30*day, time.Duration(c.Lifetimes.RefreshMax)))
	orTime(&c.Lifetimes.RefreshGrace, 45*time.Second)
	orTime(&c.Lifetimes.Session, day)
	orTime(&c.Limits.Lock, 5*time.Minute)
	orTime(&c.Limits.CoolDown, 15*time.Minute)
	orText(&c.Limits.Challenge, challengeOff)
	if c.Limits.ChallengeBits == 0 {
		c.Limits.ChallengeBits = 18
	}
	orRate(&c.Limits.Number, 10, day)
	orRate(&c.Limits.Network, 30, time.Hour)
	orRate(&c.Limits.Client, 3000, time.Hour)
	orRate(&c.Limits.Deployment, 10000, time.Hour)
	orTime(&c.Keys.RotateEvery, 30*day)
	orTime(&c.Keys.PublishBefore, min(day, time.Duration(c.Keys.RotateEvery)))
}

func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	n, err2 := strconv.ParseUint(port, 10, 16)
	return err == nil && err2 == nil && n > 0
}

func checkTLS(c TLSConfig, d *decoder) {
	switch {
	case c.CertFile == "" && c.KeyFile == "":
	case c.KeyFile == "":
		d.wrong("tls.key_file", "missing; cert_file and key_file go together")
	case c.CertFile == "":
		d.wrong("tls.cert_file", "missing; cert_file and key_file go together")
	default:
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			d.wrong("tls", "the certificate does not load: %s", strings.TrimPrefix(err.Error(), "tls: "))
		}
	}
}

func checkMaster(c Config, d *decoder) *keys.Master {
	key := "master_key_file"
	var master *keys.Master
	var err error
	switch {
	case c.MasterKey != "":
		key = "master_key"
		master, err = keys.ParseMaster(c.MasterKey)
	case c.MasterKeyFile != "":
		master, err = keys.LoadMaster(c.MasterKeyFile)
	default:
		err = errors.New("missing; for a new deployment: calleridp keys init-master --out /etc/calleridp/master.key, then name that file here")
	}
	if err != nil {
		d.wrong(key, "%s", strings.TrimPrefix(err.Error(), "keys: "))
	}
	return master
}

// checkTimes holds times within what makes sense.
func checkTimes(c Config, d *decoder) {
	for _, t := range []struct {
		key         string
		value       duration
		least, most time.Duration
		because     string
	}{
		{"truecaller.timeout", c.Truecaller.Timeout, time.Second, 12 * time.Second, "a browser waits for it"},
		{"lifetimes.attempt", c.Lifetimes.Attempt, time.Second, time.Hour, "people answer a phone in minutes"},
		{"lifetimes.code", c.Lifetimes.Code, time.Second, 10 * time.Minute, "codes are used at once (RFC 6749 section 4.1.2)"},
		{"lifetimes.id_token", c.Lifetimes.IDToken, 5 * time.Minute, 0, "clients' clocks differ"},
		{"lifetimes.access_token", c.Lifetimes.AccessToken, time.Minute, 0, "clients' clocks differ"},
		{"lifetimes.refresh_idle", c.Lifetimes.RefreshIdle, time.Minute, time.Duration(c.Lifetimes.RefreshMax), "it ends with refresh_max"},
		{"lifetimes.refresh_max", c.Lifetimes.RefreshMax, time.Minute, 0, "it would be of no use"},
		{"lifetimes.refresh_grace", c.Lifetimes.RefreshGrace, time.Second, 10 * time.Minute, "it is for answers that got lost on their way"},
		{"lifetimes.session", c.Lifetimes.Session, time.Minute, 0, "it would be of no use"},
		{"limits.lock", c.Limits.Lock, time.Second, 24 * time.Hour, "phones must be left in peace, and can be asked again"},
		{"limits.cool_down", c.Limits.CoolDown, time.Second, 24 * time.Hour, "people may change their mind"},
		{"keys.rotate_every", c.Keys.RotateEvery, time.Hour, 0, "clients cache keys"},
		{"keys.publish_before", c.Keys.PublishBefore, 15 * time.Minute, time.Duration(c.Keys.RotateEvery), "clients cache keys, and every key is published before it signs"},
	} {
		switch value := time.Duration(t.value); {
		case d.failed(t.key):
		case value < t.least:
			d.wrong(t.key, "%s is too short; at least %s, because %s", value, t.least, t.because)
		case t.most > 0 && value > t.most:
			d.wrong(t.key, "%s is too long; at most %s, because %s", value, t.most, t.because)
		}
	}
}

// challengeOff is the word for it in the configuration; the other modes are
// called as in provider.
const challengeOff = "off"

func checkChallenge(c LimitsConfig, d *decoder) {
	switch c.Challenge {
	case challengeOff, string(authorize.ChallengeAuto), string(authorize.ChallengeAlways):
	default:
		d.wrong("limits.challenge", "%q: use off, auto or always", c.Challenge)
	}
	if !d.failed("limits.challenge_bits") && (c.ChallengeBits < authorize.MinChallengeBits || c.ChallengeBits > authorize.MaxChallengeBits) {
		d.wrong("limits.challenge_bits", "%d: use a number from %d to %d; each is twice the work of the one before", c.ChallengeBits, authorize.MinChallengeBits, authorize.MaxChallengeBits)
	}
}

// challengeMode is the mode that the configuration asks for, and how much of the
// network's budget is kept for browsers that solve one.
func challengeMode(c LimitsConfig) (mode authorize.ChallengeMode, reserve int) {
	if c.Challenge == challengeOff {
		return authorize.ChallengeOff, 0
	}
	if mode = authorize.ChallengeMode(c.Challenge); mode == authorize.ChallengeAuto {
		reserve = c.Network.Burst / 2
	}
	return mode, reserve
}

func checkClients(all []ClientConfig, apps []truecaller.App, d *decoder) []client.Client {
	var clients []client.Client
	first := map[string]int{}
	for i, c := range all {
		key := fmt.Sprintf("clients[%d]", i)
		if c.ID == "" {
			d.wrong(key+".client_id", "missing")
		} else if j, twice := first[c.ID]; twice {
			d.wrong(key+".client_id", "%q is declared already in clients[%d]", c.ID, j)
		} else {
			first[c.ID] = i
		}
		if app, ok := appNamed(apps, c.TruecallerApp); !ok {
			d.wrong(key+".truecaller_app", "%q is not the id of truecaller or of one of truecaller_apps", c.TruecallerApp)
		} else if c.Native && app.NativeClientID == "" {
			d.wrong(key+".native", "needs a Truecaller app with the method native, which %q does not have", app.ID)
		}
		clients = append(clients, checkClient(key, c, d))
	}
	return clients
}

// appNamed is the app with this id, the first for "".
func appNamed(apps []truecaller.App, id string) (truecaller.App, bool) {
	for _, app := range apps {
		if id == "" || app.ID == id {
			return app, true
		}
	}
	return truecaller.App{}, false
}

func checkClient(key string, c ClientConfig, d *decoder) client.Client {
	out := client.Client{
		ID: c.ID, Name: c.Name, LogoURI: c.LogoURI, URI: c.URI, TOSURI: c.TOSURI, PolicyURI: c.PolicyURI, Colour: c.Colour, ColourDark: c.ColourDark, Public: c.Public, Native: c.Native,
		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, AllowedOrigins: c.AllowedOrigins,
		Scopes: c.Scopes, WithoutPKCE: c.DangerouslyWithoutPKCE, IDTokenAlg: c.IDTokenAlg, SectorHost: c.SectorHost, Region: c.Region, Countries: c.Countries,
		TruecallerApp: c.TruecallerApp,
	}
	if c.Name == "" {
		d.wrong(key+".name", "missing; people see it when they sign in")
	}
	if c.DefaultMaxAge > 0 {
		age := time.Duration(c.DefaultMaxAge)
		out.DefaultMaxAge = &age
	}
	switch c.SubjectType {
	case "", "public":
	case "pairwise":
		out.Pairwise = true
	default:
		d.wrong(key+".subject_type", "%q: use public or pairwise", c.SubjectType)
	}
	if consent, ok := client.ParseConsent(c.Consent); ok {
		out.Consent = consent
	} else {
		d.wrong(key+".consent", "%q: use none, remember or always", c.Consent)
	}
	secret := strings.TrimSpace(c.Secret)
	if c.SecretFile != "" {
		secret = secretFile(key+".secret_file", c.SecretFile, d)
	}
	if secret != "" {
		out.SecretHashes = [][32]byte{client.HashSecret(secret)}
	}
	said := slices.Clone(d.problems)
	for _, p := range client.Validate(out) {
		name, ok := clientKeys[p.Key]
		if !ok {
			name = p.Key
		}
		if !slices.ContainsFunc(said, func(have problem) bool {
			return have.Key == key+"."+name || p.Key == "secret" && have.Key == key+".secret"
		}) {
			d.wrong(key+"."+name, "%s", p.Text)
		}
	}
	return out
}

// clientKeys are the keys here of what the registry names otherwise.
var clientKeys = map[string]string{
	"id": "client_id", "secret": "secret_file", "without_pkce": "dangerously_without_pkce",
}
