package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"calleridp/cmd/calleridp/demo"
	"calleridp/keys"
	"calleridp/provider/limit"
	"calleridp/truecaller/simulator"
)

// devFlags are the flags of calleridp dev.
type devFlags struct {
	providerPort, simulatorPort, demoPort int
	data, host, clients                   string
	tls, json, verbose                    bool
	attemptLife                           time.Duration
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
	f.StringVar(&o.clients, "clients", "", "register the clients of this YAML `file` too, a list as under clients: in the configuration")
	f.BoolVar(&o.tls, "tls", false, "serve the provider over HTTPS, with a certificate of its own making")
	f.StringVar(&o.host, "host", "127.0.0.1", "host `name` in issuer and certificate; it must lead to this machine")
	f.DurationVar(&o.attemptLife, "attempt-life", 5*time.Minute, "how long a request on the phone stays open")
	f.BoolVar(&o.json, "json", false, "when ready, print one line of JSON with the addresses, and nothing else")
	f.BoolVar(&o.verbose, "v", false, "log every request")
	if err := parse(f, args); err != nil {
		return err
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
	phone, err := loopback("--simulator-port", o.simulatorPort)
	if err != nil {
		return err
	}
	shop, err := loopback("--demo-port", o.demoPort)
	if err != nil {
		return err
	}
	at := func(scheme, host string, l net.Listener) string {
		return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	scheme := "http"
	if o.tls {
		scheme = "https"
	}
	issuer, phoneURL, shopURL := at(scheme, o.host, provider), at("http", "127.0.0.1", phone), at("http", "127.0.0.1", shop)

	if o.data == "" {
		if o.data, err = os.MkdirTemp("", "calleridp-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.data)
	}
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	say("Making keys; this takes a few seconds at the first start.\n")
	s, err := devSettings(o, issuer, phoneURL, shopURL)
	if err != nil {
		return err
	}
	log := logger(s)
	slog.SetDefault(log)
	srv, err := build(ctx, s, log, true)
	if err != nil {
		return err
	}
	trust := http.DefaultClient
	var certificate *certificates
	if o.tls {
		if certificate, trust, err = devCertificate(o.data, o.host); err != nil {
			srv.store.Close()
			return err
		}
	}

	sim := simulator.New(simulator.Config{
		AppName: s.app.Name, AppKey: s.app.Key, Log: log,
		CallbackURL: issuer + callbackPath(s), HTTP: trust,
	})
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

	if o.json {
		json.NewEncoder(out).Encode(map[string]string{"issuer": issuer, "simulator": phoneURL, "demo": shopURL, "data": o.data, "admin_socket": s.AdminSocket})
	} else {
		say("Ready.\n\n")
		say("  Demo application   %s\n", shopURL)
		say("  Simulated phone    %s\n", phoneURL)
		say("  Issuer             %s   (client demo, secret demo-secret)\n\n", issuer)
		say("Open the demo application and sign in with +46 70 174 06 05, which approves by itself.\n")
		say("Any other number waits until you approve it on the simulated phone. Stop with Ctrl-C.\n")
	}
	return srv.serve(ctx, s, provider, certificate, log)
}

// loopback opens a port on loopback, never on another address.
func loopback(flag string, port int) (net.Listener, error) {
	if port < 0 || port > 65535 {
		return nil, fmt.Errorf("%w: %s %d is not a port", errUsage, flag, port)
	}
	l, err := listen(flag, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("%w (try %s 0)", err, flag)
	}
	return l, nil
}

func callbackPath(s settings) string { return "/callback/" + s.app.ID + "/" + s.app.CallbackSecrets[0] }

// devSettings is the configuration that serve would read, pointed at the
// simulator. Budgets are wide; the lock stays.
func devSettings(o devFlags, issuer, phoneURL, shopURL string) (settings, error) {
	masterFile := filepath.Join(o.data, "master.key")
	if err := keys.CreateMaster(masterFile); err != nil {
		if _, statErr := os.Stat(masterFile); statErr != nil {
			return settings{}, err
		}
	}
	wide := rate(limit.Rate{Burst: 1_000_000, Period: time.Hour})
	redirects := []string{shopURL + "/callback"}
	c := Config{
		Issuer: issuer, Listen: "127.0.0.1:0", DataDir: o.data, MasterKeyFile: masterFile, DefaultRegion: "SE",
		Truecaller: TruecallerConfig{
			AppName: "Demo shop", AppKey: "simulated-app-key", CallbackSecret: "simulated-callback-secret-on-loopback-only",
			APIURL: phoneURL, ProfileURLs: []string{phoneURL},
		},
		Limits:    LimitsConfig{Number: wide, Network: wide, Client: wide, Deployment: wide},
		Lifetimes: LifetimesConfig{Attempt: duration(o.attemptLife)},
		Log:       LogConfig{Level: "warn", Format: "text"},
		Clients: []ClientConfig{
			{ID: "demo", Name: "Demo shop", Secret: "demo-secret", RedirectURIs: redirects, PostLogoutRedirectURIs: []string{shopURL + "/"}},
			{ID: "demo2", Name: "Second demo", Secret: "demo2-secret", RedirectURIs: redirects, PostLogoutRedirectURIs: []string{shopURL + "/"}},
			{ID: "demo-es256", Name: "Demo with ES256", Secret: "demo-es256-secret", RedirectURIs: redirects, IDTokenAlg: "ES256"},
			{ID: "demo-public", Name: "Public demo", Public: true, RedirectURIs: append([]string{"http://127.0.0.1/callback"}, redirects...), AllowedOrigins: []string{shopURL}},
		},
	}
	if o.verbose || o.json {
		c.Log.Level = "info"
	}
	if o.json {
		c.Log.Format = "json"
	}
	if o.clients != "" {
		text, err := os.ReadFile(o.clients)
		if err != nil {
			return settings{}, fmt.Errorf("--clients: %w", err)
		}
		var more []ClientConfig
		if err := decodeStrictly(text, &more); err != nil {
			return settings{}, fmt.Errorf("--clients: %s: %w", o.clients, err)
		}
		c.Clients = append(c.Clients, more...)
	}
	s, problems := check(c, true)
	if len(problems) > 0 {
		return settings{}, problemsError("the development configuration", problems)
	}
	return s, nil
}

// devCertificate makes a certificate, or takes the one that is there, and a
// client that trusts it and nothing else.
func devCertificate(dir, host string) (*certificates, *http.Client, error) {
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if _, err := os.Stat(certFile); errors.Is(err, fs.ErrNotExist) {
		if err := makeCertificate(certFile, keyFile, host); err != nil {
			return nil, nil, fmt.Errorf("--tls: %w", err)
		}
	}
	c, err := loadCertificates(certFile, keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("--tls: %w", err)
	}
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(c.current.Load().Certificate[0])
	if err != nil {
		return nil, nil, fmt.Errorf("--tls: %w", err)
	}
	pool.AddCert(leaf)
	trust := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}}
	return c, trust, nil
}

func makeCertificate(certFile, keyFile, host string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 3, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if net.ParseIP(host) == nil {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}
