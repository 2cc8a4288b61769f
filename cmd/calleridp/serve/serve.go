// Package serve runs the server: it opens the listeners, serves requests until its
// context ends, and lets those under way finish.
//
//	serve.go            the command, and Program.Run
//	drain.go            the way from the signal to the end
//	listen.go           ports, and the operators' Unix socket
//	connections.go      how many connections there may be
//	middleware.go       what every request passes through
//	address.go          the client's address, behind proxies
//	log.go              the log, whose events name their request
//	health.go           /healthz and /readyz
//	hangup.go           SIGHUP
//	adminlisten.go      TLS of the operators' listener; peer_linux.go: who is on their socket
//	certificate.go      the certificate, read again when it changes
//	callbacksecrets.go  the callback secrets, likewise
//
// What it serves is a Program, which build in package main assembles.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/keys"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// Program is everything that runs, assembled and not yet listening.
type Program struct {
	Public  http.Handler // for browsers, clients and Truecaller
	Admin   http.Handler // for operators, on a Unix socket
	Console http.Handler // for operators' browsers; nil: there is none
	// ConsoleListener serves Console alone, also without TLS: for calleridp dev. If nil,
	// admin_listen serves it.
	ConsoleListener net.Listener
	Metrics         http.Handler // for Prometheus, on a separate address

	Connections *Connections // limits of the public listener

	Store      Store
	Background []func(context.Context) // each runs until its context ends
	Drain      func()                  // ends the live connections of waiting pages
	LastLines  func()                  // writes what the log has summed up; called last, however Run ends

	draining atomic.Bool  // no longer ready for new requests
	handlers atomic.Int64 // that run
}

// Store is what the program itself needs of the store.
type Store interface {
	SigningKeys(ctx context.Context) (records []keys.Record, version uint64, err error)
	Healthy() error // nil while writes become durable
	Close() error
}

// Build assembles the program. development adds what only `calleridp dev` shows.
type Build func(ctx context.Context, s config.Settings, log *slog.Logger, development bool) (*Program, error)

// Command returns the command `calleridp serve`.
func Command(build Build, version string) *cobra.Command {
	var file *string
	c := command.New(command.Text{
		Use:     "serve",
		Short:   "run the server",
		Example: "calleridp serve --config /etc/calleridp/calleridp.yaml",
	}, func(ctx context.Context, _ []string, _ io.Writer) error {
		s, err := config.Load(*file)
		if err != nil {
			return err
		}
		log := NewLog(s)
		for _, warning := range s.Warnings() {
			log.Warn("configuration: " + warning)
		}
		listener, err := Listen("listen", s.Listen)
		if err != nil {
			return err
		}
		defer listener.Close()
		var certificate *Certificate
		if s.TLS.CertFile != "" {
			if certificate, err = LoadCertificate(s.TLS.CertFile, s.TLS.KeyFile); err != nil {
				return fmt.Errorf("tls: %w", err)
			}
			go certificate.Watch(ctx, log)
		}
		defer onHangup(certificate, log)()
		program, err := build(ctx, s, log, false)
		if err != nil {
			return err
		}
		return program.Run(ctx, s, listener, certificate, log, func() {
			log.Info("serving",
				"issuer", s.Issuer,
				"listen", listener.Addr().String(),
				"tls", certificate != nil,
				"version", version)
		})
	})
	file = command.Config(c)
	return c
}

// privateServer is a server that the internet does not reach.
type privateServer struct {
	listener net.Listener
	server   *http.Server
}

// Run serves until ctx ends, lets requests under way finish, and closes the
// store. If certificate is nil, it speaks plain HTTP. It calls ready once it
// listens everywhere.
func (p *Program) Run(
	ctx context.Context,
	s config.Settings,
	public net.Listener,
	certificate *Certificate,
	log *slog.Logger,
	ready func(),
) error {
	defer p.LastLines()
	adminListener, err := listenAdmin(s.AdminSocket)
	if err != nil {
		return errors.Join(err, p.Store.Close())
	}
	defer adminListener.Close()
	const headerTimeout = 5 * time.Second
	private := []privateServer{{adminListener, &http.Server{
		Handler:           p.counted(p.Admin),
		ReadHeaderTimeout: headerTimeout,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return admin.OnSocket(ctx, peerOf(c)) },
	}}}
	background, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	adminTLS, err := adminCertificate(background, s, certificate, log)
	if err != nil {
		return errors.Join(err, p.Store.Close())
	}
	for _, optional := range []struct {
		key, address string
		server       *http.Server
	}{
		{"admin_listen", s.AdminListen, &http.Server{
			Handler:           p.counted(p.forOperators()),
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       20 * time.Second,
			WriteTimeout:      time.Minute,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    16 << 10,
			TLSConfig:         adminTLS,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}},
		{"metrics_listen", s.MetricsListen, &http.Server{
			Handler:           p.Metrics,
			ReadHeaderTimeout: headerTimeout,
			WriteTimeout:      30 * time.Second,
		}},
		{"debug_listen", s.DebugListen, &http.Server{ // a profile takes longer than any write timeout
			Handler:           profiles(),
			ReadHeaderTimeout: headerTimeout,
		}},
	} {
		if optional.address == "" {
			continue
		}
		listener, err := Listen(optional.key, optional.address)
		if err != nil {
			return errors.Join(err, p.Store.Close())
		}
		defer listener.Close()
		private = append(private, privateServer{listener, optional.server})
	}
	if p.ConsoleListener != nil {
		local := &http.Server{Handler: p.counted(p.Console), ReadHeaderTimeout: headerTimeout}
		if certificate != nil {
			local.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.Get}
		}
		private = append(private, privateServer{p.ConsoleListener, local})
	}

	if most, need := openFiles(), p.Connections.needsFiles(); most != 0 && most < need {
		log.Warn("connections.max: the process may not open so many files; lower it, or raise the limit (LimitNOFILE of systemd, ulimit -n)",
			"open_files", most, "needed", need)
	}
	web := facing(p.counted(p.lastResponses(p.Public)), log)
	web.RegisterOnShutdown(p.Drain)
	public = p.Connections.serve(web, public)

	working, stopWorking := context.WithCancel(context.Background())
	defer stopWorking()
	worked := make(chan error, 1)
	go func() { worked <- p.work(working) }()

	failed := make(chan error, 1+len(private))
	go func() {
		if certificate == nil {
			failed <- web.Serve(public)
			return
		}
		web.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.Get}
		if s.TLS.HTTP1Only {
			web.Protocols = new(http.Protocols)
			web.Protocols.SetHTTP1(true)
		}
		failed <- web.ServeTLS(public, "", "")
	}()
	for _, one := range private {
		go func() {
			if one.server.TLSConfig != nil {
				failed <- one.server.ServeTLS(one.listener, "", "")
				return
			}
			failed <- one.server.Serve(one.listener)
		}()
	}
	ready()

	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	if err == nil {
		err = p.pause(s.Drain.ReadyDelay.Duration, failed, log)
	}
	p.finish(web, private, log)
	stopWorking()
	err = errors.Join(err, <-worked)
	log.Info("stopped")
	return err
}

// work does the background work until ctx ends, and then closes the store.
func (p *Program) work(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, work := range p.Background {
		wg.Go(func() { work(ctx) })
	}
	wg.Wait()
	return p.Store.Close()
}

// facing returns the server that faces the internet: requests and responses have
// little time, and headers are small. The live events of a waiting page lift the
// time limits for themselves.
func facing(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// Requests are small and few. These bound what a connection makes the server
		// keep of what it has not read (docs/performance.md has what one costs).
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          100,
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerConnection: 128 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // broken connections of any sender
	}
}

// profiles serves Go's profiles, for the loopback address of debug_listen.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
