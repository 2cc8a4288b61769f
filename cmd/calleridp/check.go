package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider"
	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// settings are the configuration, checked and ready for use.
type settings struct {
	Config
	master  *keys.Master
	app     truecaller.App
	clients []client.Client
	proxies []netip.Prefix
	level   slog.Level
}

// appID is the name of the one Truecaller app, in the callback path.
const appID = "default"

// check turns the configuration into settings. It returns every problem there
// is, each with its key and what to do.
func check(c Config, development bool) (settings, []error) {
	var problems []error
	wrong := func(key, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	defaults(&c)
	s := settings{Config: c}

	if c.Issuer == "" {
		wrong("issuer", "missing; write the address by which browsers reach this server, like https://login.example.com")
	} else if err := provider.CheckIssuer(c.Issuer); err != nil {
		wrong("issuer", "%s", strings.TrimPrefix(err.Error(), "provider: issuer "))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		wrong("listen", "%q is not an address like :8443 or 127.0.0.1:8080", c.Listen)
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		wrong("tls", "cert_file and key_file go together")
	}
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			wrong("trusted_proxies", "%q is not a network like 10.0.0.0/8 or 127.0.0.1/32", text)
		}
		s.proxies = append(s.proxies, p)
	}
	if c.DataDir == "" {
		wrong("data_dir", "missing; name a directory on a local disk, like /var/lib/calleridp")
	}
	var err error
	switch {
	case c.MasterKey != "":
		s.master, err = keys.ParseMaster(c.MasterKey)
	case c.MasterKeyFile != "":
		s.master, err = keys.LoadMaster(c.MasterKeyFile)
	default:
		err = errors.New("missing; for a new deployment: calleridp keys init-master --out /etc/calleridp/master.key, then name that file here")
	}
	if err != nil {
		wrong("master_key_file", "%s", strings.TrimPrefix(err.Error(), "keys: "))
	}
	if c.DefaultRegion != "" && !phone.IsRegion(c.DefaultRegion) {
		wrong("default_region", "%q is not a country of two capital letters, like IN", c.DefaultRegion)
	}
	s.app = checkApp(c.Truecaller, wrong)
	s.clients = checkClients(c.Clients, development, wrong)
	if err := s.level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		wrong("log.level", "%q: use debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		wrong("log.format", "%q: use json or text", c.Log.Format)
	}
	if c.Lifetimes.IDToken != 0 && time.Duration(c.Lifetimes.IDToken) < 5*time.Minute {
		wrong("lifetimes.id_token", "at least 5m, because clients' clocks differ")
	}
	if c.DebugListen != "" {
		host, _, err := net.SplitHostPort(c.DebugListen)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			wrong("debug_listen", "%q: give a loopback address and a port, like 127.0.0.1:6060", c.DebugListen)
		}
	}
	return s, problems
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
	orText(&c.Listen, ":8443")
	orText(&c.Log.Level, "info")
	orText(&c.Log.Format, "json")
	orText(&c.AdminSocket, filepath.Join(c.DataDir, "admin.sock"))
	orText(&c.Truecaller.APIURL, "https://api4.truecaller.com")
	if len(c.Truecaller.ProfileURLs) == 0 {
		c.Truecaller.ProfileURLs = []string{"https://profile4.truecaller.com", "https://profile4-noneu.truecaller.com", "https://profile4-eu.truecaller.com"}
	}
	orTime(&c.Truecaller.Timeout, 5*time.Second)
	orTime(&c.Lifetimes.Attempt, 5*time.Minute)
	orTime(&c.Lifetimes.Session, 24*time.Hour)
	orTime(&c.Limits.Lock, 5*time.Minute)
	orRate(&c.Limits.Number, 10, 24*time.Hour)
	orRate(&c.Limits.Network, 30, time.Hour)
	orRate(&c.Limits.Client, 3000, time.Hour)
	orRate(&c.Limits.Deployment, 10000, time.Hour)
}

func checkApp(c TruecallerConfig, wrong func(string, string, ...any)) truecaller.App {
	app := truecaller.App{ID: appID, Name: c.AppName}
	if c.AppName == "" {
		wrong("truecaller.app_name", "missing; write the name that the phone shows")
	}
	app.Key = secret("truecaller.app_key", c.AppKey, c.AppKeyFile, wrong)
	if callback := secret("truecaller.callback_secret", c.CallbackSecret, c.CallbackSecretFile, wrong); callback != "" {
		if len(callback) < 32 || strings.Trim(callback, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			wrong("truecaller.callback_secret_file", "the secret must be at least 32 letters and digits; openssl rand -hex 32 makes one")
		}
		app.CallbackSecrets = []string{callback}
	}
	app.API = endpoint("truecaller.api_url", c.APIURL, wrong)
	for _, text := range c.ProfileURLs {
		app.Profiles = append(app.Profiles, endpoint("truecaller.profile_urls", text, wrong))
	}
	return app
}

// endpoint is an address at Truecaller. Plain http is for a simulator on
// loopback.
func endpoint(key, text string, wrong func(string, string, ...any)) *url.URL {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		wrong(key, "%q is not an address like https://api4.truecaller.com", text)
		return &url.URL{}
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && !(u.Scheme == "http" && ip != nil && ip.IsLoopback()) {
		wrong(key, "%q must be https", text)
	}
	return u
}

// secret takes a secret from the environment or from a file.
func secret(key, value, file string, wrong func(string, string, ...any)) string {
	if value != "" {
		return strings.TrimSpace(value)
	}
	if file == "" {
		wrong(key+"_file", "missing; name a file, or set CALLERIDP_%s", strings.ToUpper(strings.ReplaceAll(key, ".", "_")))
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		wrong(key+"_file", "%v", err)
		return ""
	}
	if value = strings.TrimSpace(string(text)); value == "" {
		wrong(key+"_file", "%s is empty", file)
	}
	return value
}

func checkClients(all []ClientConfig, development bool, wrong func(string, string, ...any)) []client.Client {
	var clients []client.Client
	seen := map[string]bool{}
	for i, c := range all {
		key := fmt.Sprintf("clients[%d] (%s)", i, c.ID)
		if seen[c.ID] {
			wrong(key, "client_id is declared twice")
		}
		seen[c.ID] = true
		out := client.Client{
			ID: c.ID, Name: c.Name, LogoURI: c.LogoURI, URI: c.URI, TOSURI: c.TOSURI, PolicyURI: c.PolicyURI, Public: c.Public,
			RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, AllowedOrigins: c.AllowedOrigins,
			Scopes: c.Scopes, WithoutPKCE: c.DangerouslyWithoutPKCE, IDTokenAlg: c.IDTokenAlg, SectorHost: c.SectorHost, Region: c.Region,
		}
		switch c.SubjectType {
		case "", "public":
		case "pairwise":
			out.Pairwise = true
		default:
			wrong(key, "subject_type: %q: use public or pairwise", c.SubjectType)
		}
		switch {
		case c.Secret != "" && !development:
			wrong(key, "secret: put it in a file of its own and name that as secret_file")
		case c.Secret != "":
			out.SecretHashes = [][32]byte{client.HashSecret(c.Secret)}
		case c.SecretFile != "":
			text, err := os.ReadFile(c.SecretFile)
			if err != nil {
				wrong(key, "secret_file: %v", err)
			} else if strings.TrimSpace(string(text)) == "" {
				wrong(key, "secret_file: %s is empty", c.SecretFile)
			}
			out.SecretHashes = [][32]byte{client.HashSecret(strings.TrimSpace(string(text)))}
		}
		if c.Region != "" && !phone.IsRegion(c.Region) {
			wrong(key, "region: %q is not a country of two capital letters, like IN", c.Region)
		}
		for _, problem := range client.Validate(out) {
			if problem.Key == "secret" && c.SecretFile != "" {
				continue // said already: the file could not be read
			}
			wrong(key, "%s", problem)
		}
		clients = append(clients, out)
	}
	return clients
}

// problemsError is all problems, a line each.
func problemsError(file string, problems []error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %d problem", file, len(problems))
	if len(problems) > 1 {
		b.WriteByte('s')
	}
	b.WriteByte(':')
	for _, p := range problems {
		b.WriteString("\n  " + p.Error())
	}
	return errors.New(b.String())
}

func configCommand(_ context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] != "check" {
		return fmt.Errorf("%w: say calleridp config check --config FILE", errUsage)
	}
	f := flags("config check", "says everything that is wrong with a configuration", out)
	file := f.String("config", "", "the configuration `file`")
	if err := parse(f, args[1:]); err != nil {
		return err
	}
	if _, err := configured(*file); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s is right\n", *file)
	return err
}

// configured loads and checks the file.
func configured(file string) (settings, error) {
	if file == "" {
		return settings{}, fmt.Errorf("%w: --config FILE is missing", errUsage)
	}
	c, err := loadConfig(file, os.LookupEnv)
	if err != nil {
		return settings{}, err
	}
	s, problems := check(c, false)
	if len(problems) > 0 {
		return settings{}, problemsError(file, problems)
	}
	return s, nil
}
