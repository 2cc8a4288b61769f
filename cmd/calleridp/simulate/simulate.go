// SPDX-License-Identifier: Apache-2.0

// Package simulate has the command `calleridp simulate`: the simulated Truecaller by
// itself, with which `calleridp serve` can be rehearsed before there is an appKey.
package simulate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/serve"
	"calleridp/provider/endpoint"
	"calleridp/truecaller"
	"calleridp/truecaller/simulator"

	"github.com/spf13/cobra"
)

// options are the values of the flags.
type options struct {
	listen, appKey, callbackURL, appName, nativeClientID string
	caFile                                               string
	config                                               *string
	verbose                                              bool
}

// Command returns the command `calleridp simulate`.
func Command() *cobra.Command {
	var o options
	c := command.New(command.Text{
		Use:   "simulate",
		Short: "run only the simulated Truecaller, to rehearse serve without an appKey",
		Long: `It prints the lines to put into the configuration, and serves Truecaller's interfaces and a
page with the phones, on this machine only, because anyone who reaches it can approve any
sign-in. A server with these lines warns at each start, and its pages say that no real phone
is involved. Name one app by --app-key and --callback-url, or all apps by --config.`,
		Example: `calleridp simulate --config /etc/calleridp/calleridp.yaml
calleridp simulate --app-key rehearsal --callback-url http://127.0.0.1:8443/callback/default/SECRET`,
	}, func(ctx context.Context, _ []string, out io.Writer) error { return run(ctx, o, out) })
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:9441", "loopback `address` of the simulated Truecaller")
	f.StringVar(&o.appKey, "app-key", "", "the appKey that it accepts; any `text`")
	f.StringVar(&o.callbackURL, "callback-url", "", "`URL` to which it posts callbacks: ISSUER/callback/ID/SECRET")
	f.StringVar(&o.appName, "app-name", "Rehearsal", "`name` that the phones show")
	f.StringVar(&o.nativeClientID, "native-client-id", "", "OAuth client `id` of an Android application")
	f.StringVar(&o.caFile, "ca-file", "", "`file` with the authority (PEM) of the issuer's certificate, if this machine does not trust it")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log every request")
	o.config = command.Config(c)
	return c
}

func run(ctx context.Context, o options, out io.Writer) error {
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil || !truecaller.IsLoopback(host) {
		return command.Usagef("--listen %s is not a loopback address and a port, like 127.0.0.1:9441; a client that reaches the simulator can approve any sign-in", o.listen)
	}
	apps, err := o.apps()
	if err != nil {
		return err
	}
	sender, err := o.sender()
	if err != nil {
		return err
	}
	listener, err := serve.Listen("--listen", o.listen)
	if err != nil {
		return err
	}
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelInfo
	}
	base := "http://" + listener.Addr().String()
	sim := simulator.New(simulator.Config{
		Apps:    apps,
		BaseURL: base,
		HTTP:    sender,
		Log:     slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	})
	defer sim.Close()
	web := &http.Server{Handler: simulator.OnThisMachine(sim.Handler()), ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(out, `A SIMULATED TRUECALLER, for a rehearsal. Anyone who opens its page can approve any sign-in:
remove these lines from the configuration before real users come.

truecaller:
  api_url: %[1]s
  profile_urls: [%[1]s]
  oauth_url: %[1]s

It accepts the appKey of --app-key, or those of the configuration. The page with the phones
is %[1]s/
Sign in with +46 70 174 06 05, which approves by itself, or approve another number on that
page. Stop with Ctrl-C.
`, base)
	stopped := context.AfterFunc(ctx, func() { web.Close() })
	defer stopped()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// apps returns the apps of the flags, or those of the configuration.
func (o options) apps() ([]simulator.App, error) {
	if o.appKey != "" || o.callbackURL != "" {
		u, err := url.Parse(o.callbackURL)
		if o.appKey == "" || err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, command.Usagef("--app-key TEXT and --callback-url URL go together; the URL is ISSUER/callback/ID/SECRET")
		}
		return []simulator.App{{Name: o.appName, Key: o.appKey, CallbackURL: o.callbackURL, NativeClientID: o.nativeClientID}}, nil
	}
	if *o.config == "" {
		return nil, command.Usagef("missing --app-key and --callback-url, or --config FILE")
	}
	s, err := config.Load(*o.config)
	if err != nil {
		return nil, err
	}
	var apps []simulator.App
	for _, app := range s.Apps {
		one := simulator.App{Name: app.Name, Key: app.Key, NativeClientID: app.NativeClientID}
		if !app.NativeOnly() {
			one.CallbackURL = s.Issuer + endpoint.PathCallback + app.ID + "/" + app.CallbackSecrets[0]
		}
		apps = append(apps, one)
	}
	return apps, nil
}

// sender returns what posts callbacks.
func (o options) sender() (*http.Client, error) {
	if o.caFile == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(o.caFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("--ca-file: %s has no certificate (PEM)", o.caFile)
	}
	return &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true},
	}, nil
}
