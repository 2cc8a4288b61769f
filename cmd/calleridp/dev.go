package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"calleridp/cmd/calleridp/demo"
	"calleridp/keys"
	"calleridp/provider/limit"
	"calleridp/storage/bolt"
	"calleridp/truecaller"
	"calleridp/truecaller/simulator"
)

// devFlags are the flags of calleridp dev.
type devFlags struct {
	providerPort, simulatorPort, demoPort int
	data, host, region, challenge         string
	clients                               texts
	tls, json, verbose                    bool
	attemptLife, coolDown                 time.Duration
}

// defaultRegion is what the configuration would have.
func (o devFlags) defaultRegion() string {
	if o.region == "none" {
		return ""
	}
	return o.region
}

// dev runs everything on loopback: the provider as serve runs it, a simulated
// Truecaller that it reaches over HTTP, and a demo application.
func dev(ctx context.Context, args []string, out io.Writer) error {
	var o devFlags
	f := flags("dev", "runs provider, simulated Truecaller and demo application on this machine", out)
	f.IntVar(&o.providerPort, "provider-port", 9440, "`port` of the provider; 0 takes a free one")
	f.IntVar(&o.simulatorPort, "simulator-port", 9441, "`port` of the simulated Truecaller and its phone")
	f.IntVar(&o.demoPort, "demo-port", 9442, "`port` of the demo application")
	f.StringVar(&o.data, "data", "", "keep data in this `directory`; default a temporary one, deleted at the end")
	f.Var(&o.clients, "clients", "register the clients of this YAML `file` too, a list as under clients: in the configuration; may be repeated")
	f.BoolVar(&o.tls, "tls", false, "serve the provider over HTTPS, with a certificate of its own making")
	f.StringVar(&o.host, "host", "127.0.0.1", "host `name` in issuer and certificate; it must lead to this machine")
	f.StringVar(&o.region, "region", "SE", "`country` of national phone numbers; none to guess it from the browser's language")
	f.DurationVar(&o.attemptLife, "attempt-life", 5*time.Minute, "how long a request on the phone stays open")
	f.DurationVar(&o.coolDown, "cool-down", 0, "how long a number is left in peace after it was declined on the phone")
	f.StringVar(&o.challenge, "challenge", challengeOff, "`when` browsers must solve a task before a phone is asked: off, auto or always")
	f.BoolVar(&o.json, "json", false, "when ready, print one line of JSON with the addresses, and nothing else")
	f.BoolVar(&o.verbose, "v", false, "log every request")
	if _, err := parse(f, args); err != nil {
		return err
	}
	if ip := net.ParseIP(o.host); !o.tls && o.host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usageError("--host %s needs --tls: plain HTTP is accepted at loopback addresses only", o.host)
	}
	say := func(format string, args ...any) {
		if !o.json {
			fmt.Fprintf(out, format, args...)
		}
	}

	say("Opening ports.\n")
	provider, err := loopback("--provider-port", o.providerPort)
	if err != nil {
		return err
	}
	defer provider.Close()
	phone, err := loopback("--simulator-port", o.simulatorPort)
	if err != nil {
		return err
	}
	defer phone.Close()
	shop, err := loopback("--demo-port", o.demoPort)
	if err != nil {
		return err
	}
	defer shop.Close()
	scheme := "http"
	if o.tls {
		scheme = "https"
	}
	issuer, phoneURL, shopURL := address(scheme, o.host, provider), address("http", "127.0.0.1", phone), address("http", "127.0.0.1", shop)

	if o.data == "" {
		if o.data, err = os.MkdirTemp("", "calleridp-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.data)
	}
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	s, err := devSettings(o, issuer, phoneURL, shopURL)
	if err != nil {
		return err
	}
	// A folder may be named so deep that no socket fits into it.
	if len(s.AdminSocket) > maxSocketPath {
		dir, err := os.MkdirTemp("", "calleridp-dev-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.AdminSocket = filepath.Join(dir, "admin.sock")
	}
	trust := http.DefaultClient
	var certificate *certificates
	if o.tls {
		if certificate, trust, err = devCertificate(o.data, o.host); err != nil {
			return err
		}
	}
	say("Making keys; this takes a few seconds at the first start.\n")
	log := logger(s)
	srv, err := build(ctx, s, log, true)
	if errors.Is(err, bolt.ErrIssuer) {
		return fmt.Errorf("%s belongs to a provider at another address; use the same --provider-port, --host and --tls as then, or another --data", o.data)
	}
	if err != nil {
		return err
	}

	var registered []simulator.App
	for _, app := range s.apps {
		registered = append(registered, simulator.App{Name: app.Name, Key: app.Key, CallbackURL: issuer + callbackPath(app), NativeClientID: app.NativeClientID})
	}
	sim := simulator.New(simulator.Config{Apps: registered, BaseURL: phoneURL, Log: log, HTTP: trust})
	defer sim.Close()
	application := demo.New(demo.Config{
		Issuer: issuer, ClientID: "demo", ClientSecret: "demo-secret", BaseURL: shopURL, Phone: phoneURL, HTTP: trust, Log: log,
	})
	for _, beside := range []struct {
		l net.Listener
		h http.Handler
	}{{phone, sim.Handler()}, {shop, application.Handler()}} {
		web := &http.Server{Handler: beside.h, ReadHeaderTimeout: 5 * time.Second}
		go web.Serve(beside.l)
		defer web.Close()
	}

	return srv.serve(ctx, s, provider, certificate, log, func() {
		if o.json {
			json.NewEncoder(out).Encode(map[string]string{"issuer": issuer, "simulator": phoneURL, "demo": shopURL, "data": o.data, "admin_socket": s.AdminSocket})
			return
		}
		say("Ready.\n\n")
		say("  Demo application   %s\n", shopURL)
		say("  Simulated phone    %s\n", phoneURL)
		say("  Issuer             %s   (client demo, secret demo-secret)\n", issuer)
		say("  Account page       %s/account\n", issuer)
		say("  Every page         %s/gallery\n\n", issuer)
		say("Open the demo application and sign in with +46 70 174 06 05, which approves by itself.\n")
		say("Any other number waits until you approve it on the simulated phone. Stop with Ctrl-C.\n")
	})
}

func address(scheme, host string, l net.Listener) string {
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

// loopback opens a port on loopback, never on another address.
func loopback(flag string, port int) (net.Listener, error) {
	if port < 0 || port > 65535 {
		return nil, usageError("%s %d is not a port", flag, port)
	}
	l, err := listen(flag, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("%w (%s 0 takes a free one)", err, flag)
	}
	return l, nil
}

// callbackPath is where an app's callbacks go.
func callbackPath(app truecaller.App) string {
	return "/callback/" + app.ID + "/" + app.CallbackSecrets[0]
}

// devSettings is the configuration that serve would read, pointed at the
// simulator. Budgets are wide; the lock stays.
func devSettings(o devFlags, issuer, phoneURL, shopURL string) (settings, error) {
	masterFile := filepath.Join(o.data, "master.key")
	if _, err := os.Stat(masterFile); errors.Is(err, fs.ErrNotExist) {
		if err := keys.CreateMaster(masterFile); err != nil {
			return settings{}, err
		}
	}
	wide := rate(limit.Rate{Burst: 1_000_000, Period: time.Hour})
	redirects := []string{shopURL + "/callback"}
	c := Config{
		Issuer: issuer, DataDir: o.data, MasterKeyFile: masterFile, DefaultRegion: o.defaultRegion(),
		Truecaller: TruecallerConfig{
			AppName: "Demo shop", AppKey: "simulated-app-key", CallbackSecret: "simulated-callback-secret-on-loopback-only",
			APIURL: phoneURL, ProfileURLs: []string{phoneURL}, Methods: []string{methodPush, methodOneTap, methodNative},
			NativeClientID: "simulated-native-client-id", OAuthURL: phoneURL,
		},
		TruecallerApps: []TruecallerConfig{{
			ID: "second", AppName: "Second demo", AppKey: "second-simulated-app-key", CallbackSecret: "second-callback-secret-on-loopback-only",
			APIURL: phoneURL, ProfileURLs: []string{phoneURL}, Methods: []string{methodPush, methodOneTap},
		}},
		Limits:    LimitsConfig{Number: wide, Network: wide, Client: wide, Deployment: wide, Challenge: o.challenge},
		Lifetimes: LifetimesConfig{Attempt: duration(o.attemptLife)},
		Log:       LogConfig{Level: "warn", Format: "text"},
		Clients: []ClientConfig{
			{ID: "demo", Name: "Demo shop", Secret: "demo-secret", RedirectURIs: redirects, PostLogoutRedirectURIs: []string{shopURL + "/"}},
			{ID: "demo2", Name: "Second demo", Secret: "demo2-secret", TruecallerApp: "second", RedirectURIs: redirects, PostLogoutRedirectURIs: []string{shopURL + "/"}},
			{ID: "demo-third", Name: "Somebody else's demo", Secret: "demo-third-secret", Consent: "remember", RedirectURIs: redirects},
			{ID: "demo-es256", Name: "Demo with ES256", Secret: "demo-es256-secret", RedirectURIs: redirects, IDTokenAlg: "ES256"},
			{ID: "demo-public", Name: "Public demo", Public: true, RedirectURIs: append([]string{"http://127.0.0.1/callback"}, redirects...), AllowedOrigins: []string{shopURL}},
			{ID: "demo-native", Name: "Demo for Android", Public: true, Native: true},
		},
	}
	if o.verbose || o.json {
		c.Log.Level = "info"
	}
	if o.json {
		c.Log.Format = "json"
	}
	for _, file := range o.clients {
		d := &decoder{secrets: "dev", where: map[string]string{}}
		var more []ClientConfig
		if err := d.readDocument(file, "clients", &more); err != nil {
			return settings{}, fmt.Errorf("--clients: %w", err)
		}
		if len(d.problems) > 0 {
			return settings{}, &problems{Source: file, All: d.problems}
		}
		c.Clients = append(c.Clients, more...)
	}
	d := &decoder{secrets: "dev", where: map[string]string{}}
	s := check(c, d)
	if len(d.problems) > 0 {
		return settings{}, &problems{Source: "the development configuration", All: d.problems}
	}
	s.Limits.CoolDown = duration(o.coolDown) // none: test suites decline a number and ask it again
	return s, nil
}
