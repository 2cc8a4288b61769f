// SPDX-License-Identifier: Apache-2.0

// Package dev runs everything on one machine: the provider, assembled as for
// `calleridp serve`, a simulated Truecaller that it reaches over HTTP, and a demo
// application.
package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/demo"
	"calleridp/cmd/calleridp/serve"
	"calleridp/provider/console"
	"calleridp/provider/endpoint"
	"calleridp/storage/bolt"
	"calleridp/storage/postgres"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
	"calleridp/truecaller/simulator"
	"calleridp/ui"

	"github.com/spf13/cobra"
)

// outputText is what dev prints for its user, where other commands print a table.
const outputText = "text"

// defaultPort is that of the provider; the others have those after it.
const defaultPort = 9440

// operatorNumber may do everything in the console. It approves by itself.
const operatorNumber = "+46701740605"

// options are the values of the flags.
type options struct {
	providerPort, simulatorPort, demoPort, consolePort int
	data, host, region, challenge                      string
	storage, dsnFile, registration                     string
	withoutPKCE                                        bool
	clients                                            []string
	output                                             string
	tls, verbose                                       bool
	attemptLife, coolDown                              time.Duration
}

// Command returns the command `calleridp dev`.
func Command(build serve.Build) *cobra.Command {
	var o options
	c := command.New(command.Text{
		Use:   "dev",
		Short: "run provider, simulated Truecaller and demo application on this machine",
		Example: `calleridp dev
calleridp dev --tls --host localhost --data ~/calleridp-dev`,
	}, func(ctx context.Context, _ []string, out io.Writer) error {
		if err := o.check(); err != nil {
			return err
		}
		return run(ctx, o, build, out)
	})
	f := c.Flags()
	f.IntVar(&o.providerPort, "provider-port", defaultPort, "`port` of the provider; 0 chooses a free one")
	f.IntVar(&o.simulatorPort, "simulator-port", 9441, "`port` of the simulated Truecaller and its phone")
	f.IntVar(&o.demoPort, "demo-port", 9442, "`port` of the demo application")
	f.IntVar(&o.consolePort, "console-port", -1, "`port` of the operators' console; default 9443, or a free one beside another --provider-port")
	f.StringVar(&o.data, "data", "", "keep data in this `directory`; default a temporary one, deleted on exit")
	command.Choice(c, &o.storage, "storage", "", config.EngineBolt, "`engine` of the store: bolt, or postgres with --dsn-file and --data", config.EngineBolt, config.EnginePostgres)
	f.StringVar(&o.dsnFile, "dsn-file", "", "`file` with the connection string of a PostgreSQL database, empty at first")
	f.StringArrayVar(&o.clients, "clients", nil, "also register the clients of this YAML `file`, a list as under clients: in the configuration; may be repeated")
	f.BoolVar(&o.tls, "tls", false, "serve the provider over HTTPS, with a self-signed certificate")
	f.StringVar(&o.host, "host", "127.0.0.1", "host `name` in issuer and certificate; it must resolve to this machine")
	f.StringVar(&o.region, "region", "SE", "`country` of national phone numbers; none to guess it from the browser's language")
	f.DurationVar(&o.attemptLife, "attempt-life", 5*time.Minute, "`time` for which a request on the phone stays open")
	f.DurationVar(&o.coolDown, "cool-down", 0, "`time` for which a number cools down after a request was declined on the phone")
	f.StringVar(&o.challenge, "challenge", config.ChallengeOff, "`when` browsers must solve a task before a push: off, auto or always")
	f.StringVar(&o.registration, "registration", config.RegistrationClosed, "`who` may register clients: closed, token or open")
	f.BoolVar(&o.withoutPKCE, "registration-without-pkce", false, "excuse confidential clients that register themselves from PKCE, for test suites that do not know it")
	command.Choice(c, &o.output, "output", "o", outputText, "`format` of what is printed: text, or json, which is one line with the URLs when it is ready", outputText, command.JSON)
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log every request")
	return c
}

// check refuses flags that do not go together.
func (o options) check() error {
	if !o.tls && !truecaller.IsLoopback(o.host) {
		return command.Usagef("--host %s needs --tls: plain HTTP is accepted on loopback only", o.host)
	}
	switch postgres := o.storage == config.EnginePostgres; {
	case postgres && o.dsnFile == "":
		return command.Usagef("--storage postgres needs --dsn-file FILE, with the connection string of an empty PostgreSQL database")
	case postgres && o.data == "":
		return command.Usagef("--storage postgres needs --data DIRECTORY: the master key in it opens the database at the next start")
	case !postgres && o.dsnFile != "":
		return command.Usagef("--dsn-file is the database of --storage postgres, which is missing")
	}
	return nil
}

func run(ctx context.Context, o options, build serve.Build, out io.Writer) error {
	say := func(format string, args ...any) {
		if o.output != command.JSON {
			fmt.Fprintf(out, format, args...)
		}
	}

	say("Opening ports.\n")
	providerListener, err := loopback("--provider-port", o.providerPort)
	if err != nil {
		return err
	}
	defer providerListener.Close()
	phoneListener, err := loopback("--simulator-port", o.simulatorPort)
	if err != nil {
		return err
	}
	defer phoneListener.Close()
	shopListener, err := loopback("--demo-port", o.demoPort)
	if err != nil {
		return err
	}
	defer shopListener.Close()
	if o.consolePort == -1 {
		if o.consolePort = 0; o.providerPort == defaultPort {
			o.consolePort = defaultPort + 3
		}
	}
	consoleListener, err := loopback("--console-port", o.consolePort)
	if err != nil {
		return err
	}
	defer consoleListener.Close()
	scheme := "http"
	if o.tls {
		scheme = "https"
	}
	issuer := baseURL(scheme, o.host, providerListener)
	phoneURL := baseURL("http", "127.0.0.1", phoneListener)
	shopURL := baseURL("http", "127.0.0.1", shopListener)
	consoleURL := baseURL(scheme, o.host, consoleListener)

	if o.data == "" {
		if o.data, err = os.MkdirTemp("", "calleridp-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.data)
	}
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	s, err := settings(o, issuer, phoneURL, shopURL)
	if err != nil {
		return err
	}
	operator, err := phone.Parse(operatorNumber, "")
	if err != nil {
		return err
	}
	s.Console.URL, s.Operators = consoleURL, []console.Operator{{Number: operator, Role: console.Admin}}
	// The path of the data directory may be too long for a socket in it.
	if len(s.AdminSocket) > config.MaxSocketPath {
		dir, err := os.MkdirTemp("", "calleridp-dev-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.AdminSocket = filepath.Join(dir, "admin.sock")
	}
	trusting := http.DefaultClient
	var certificates serve.Certificates
	if o.tls {
		certificate, client, err := certificateFor(o.data, o.host)
		if err != nil {
			return err
		}
		certificates, trusting = certificate, client
	}
	say("Generating keys. This takes a few seconds at the first start.\n")
	log, _ := serve.NewLog(s)
	program, err := build(ctx, s, log, true)
	if errors.Is(err, postgres.ErrWrongMasterKey) {
		return fmt.Errorf("--data: the database was made with the master key of another directory than %s; name that one, or empty the database", o.data)
	}
	if errors.Is(err, bolt.ErrIssuer) || errors.Is(err, postgres.ErrIssuer) {
		return fmt.Errorf("%s belongs to a provider at another address; use its --provider-port, --host and --tls, or another --data", o.data)
	}
	if err != nil {
		return err
	}

	program.ConsoleListener = consoleListener
	var apps []simulator.App
	for _, app := range s.Apps {
		apps = append(apps, simulator.App{
			Name:           app.Name,
			Key:            app.Key,
			CallbackURL:    issuer + endpoint.PathCallback + app.ID + "/" + app.CallbackSecrets[0],
			NativeClientID: app.NativeClientID,
		})
	}
	sim := simulator.New(simulator.Config{Apps: apps, BaseURL: phoneURL, Log: log, HTTP: trusting})
	defer sim.Close()
	application := demo.New(demo.Config{
		Issuer:       issuer,
		ClientID:     "demo",
		ClientSecret: "demo-secret",
		BaseURL:      shopURL,
		Phone:        phoneURL,
		Tokens:       ui.Tokens(),
		HTTP:         trusting,
		Log:          log,
	})
	for _, beside := range []struct {
		listener net.Listener
		handler  http.Handler
	}{{phoneListener, simulator.OnThisMachine(sim.Handler())}, {shopListener, application.Handler()}} {
		web := &http.Server{Handler: beside.handler, ReadHeaderTimeout: 5 * time.Second}
		go web.Serve(beside.listener)
		defer web.Close()
	}

	return program.Run(ctx, s, providerListener, certificates, log, func() {
		if o.output == command.JSON {
			json.NewEncoder(out).Encode(map[string]string{
				"issuer":       issuer,
				"simulator":    phoneURL,
				"demo":         shopURL,
				"console":      consoleURL,
				"data":         o.data,
				"admin_socket": s.AdminSocket,
			})
			return
		}
		say("Ready.\n\n")
		say("  Demo application   %s\n", shopURL)
		say("  Simulated phone    %s\n", phoneURL)
		say("  Issuer             %s   (client demo, secret demo-secret)\n", issuer)
		say("  Account page       %s/account\n", issuer)
		say("  Every page         %s/gallery\n", issuer)
		say("  Operators' console %s/console/   (sign in with %s)\n\n", consoleURL, operatorNumber)
		say("Open the demo application and sign in with +46 70 174 06 05, which approves automatically.\n")
		say("Your own number waits until you approve it on the simulated phone. Stop with Ctrl-C.\n")
	})
}

func baseURL(scheme, host string, l net.Listener) string {
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

// loopback opens a port at 127.0.0.1.
func loopback(flag string, port int) (net.Listener, error) {
	if port < 0 || port > 65535 {
		return nil, command.Usagef("%s %d is not a port", flag, port)
	}
	l, err := serve.Listen(flag, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("%w (%s 0 chooses a free one)", err, flag)
	}
	return l, nil
}
