// SPDX-License-Identifier: Apache-2.0

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
//	reload.go           what it does: the configuration is read again
//	systemd.go          its sockets, and what it is told
//	adminlisten.go      TLS of the operators' listener; peer_linux.go: who is on their socket
//	certificate.go      the certificate, read again when it changes
//	plain.go            the listener for plain HTTP, which leads to https
//	callbacksecrets.go  the callback secrets, likewise
//
// What it serves is a Program, which build in package main assembles.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
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

	// Prepare checks what of s a running server takes over, and changes nothing. use takes
	// it over; changed says what becomes different by it.
	Prepare func(s config.Settings) (use func(context.Context), changed []string, err error)

	certificates atomic.Pointer[Certificates] // nil: none
	admin        net.Listener                 // nil: the program opens one itself
	plain        *privateServer               // plain HTTP, nil for none
	draining     atomic.Bool                  // no longer ready for new requests
	handlers     atomic.Int64                 // that run
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
		log, level := NewLog(s)
		for _, warning := range s.Warnings() {
			log.Warn("configuration: " + warning)
		}
		signals, stopSignals := hangups()
		defer stopSignals()
		opened, err := inherited()
		if err != nil {
			return err
		}
		defer opened.Close()
		listener, err := opened.listen(socketPublic, "listen", s.Listen)
		if err != nil {
			return err
		}
		defer listener.Close()
		front, err := openFront(ctx, s, opened, listener, log)
		if err != nil {
			return err
		}
		defer front.close()
		program, err := build(ctx, s, log, false)
		if err != nil {
			return err
		}
		program.admin, program.plain = opened[socketAdmin], front.plain
		again := &reloader{
			read:        func() (config.Settings, error) { return config.Load(*file) },
			current:     s,
			program:     program,
			certificate: front.files,
			level:       level,
			log:         log,
		}
		return program.Run(ctx, s, listener, front.certificates, log, func() {
			log.Info("serving",
				"issuer", s.Issuer,
				"listen", listener.Addr().String(),
				"tls", front.certificates != nil,
				"version", version)
			front.start(ctx, log)
			tellReady(log)
			// A start allocates several times the memory that it keeps (texts, templates,
			// telephone metadata). The runtime would return it over minutes.
			debug.FreeOSMemory()
			go watchdog(ctx, program.Public, log)
			go onHangup(ctx, signals, func(ctx context.Context) {
				tellReloading(log)
				again.reload(ctx)
				tellReady(log)
			})
		})
	})
	file = command.Config(c)
	return c
}

// CertificateEnds returns when the certificate of the public listener ends; the zero time if
// the program does not speak TLS, or has no certificate yet.
func (p *Program) CertificateEnds() time.Time {
	if certificates := p.certificates.Load(); certificates != nil {
		return (*certificates).Ends()
	}
	return time.Time{}
}

// privateServer is a server beside the public one.
type privateServer struct {
	listener net.Listener
	server   *http.Server
}

// Run serves until ctx ends, lets requests under way finish, and closes the
// store. If certificates is nil, it speaks plain HTTP. It calls ready once it
// listens everywhere.
func (p *Program) Run(
	ctx context.Context,
	s config.Settings,
	public net.Listener,
	certificates Certificates,
	log *slog.Logger,
	ready func(),
) error {
	defer p.LastLines()
	if certificates != nil {
		p.certificates.Store(&certificates)
	}
	adminListener, err := p.admin, error(nil)
	if adminListener == nil {
		adminListener, err = listenAdmin(s.AdminSocket)
	}
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
	adminTLS, err := adminCertificate(background, s, certificates, log)
	if err != nil {
		return errors.Join(err, p.Store.Close())
	}
	limits := []*Connections{p.Connections}
	for _, optional := range []struct {
		key, address string
		limits       *Connections // nil: every client that reaches the address is trusted
		server       *http.Server
	}{
		{"admin_listen", s.AdminListen, NewConnections(operatorConnections, operatorsPerNetwork, ClientAddresses{}), &http.Server{
			Handler:           p.counted(p.forOperators()),
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       20 * time.Second,
			WriteTimeout:      time.Minute,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    16 << 10,
			TLSConfig:         adminTLS,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}},
		{"metrics_listen", s.MetricsListen, nil, &http.Server{
			Handler:           p.Metrics,
			ReadHeaderTimeout: headerTimeout,
			WriteTimeout:      30 * time.Second,
		}},
		{"debug_listen", s.DebugListen, nil, &http.Server{ // a profile takes longer than any write timeout
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
		if optional.limits != nil {
			listener = optional.limits.serve(optional.server, listener)
			limits = append(limits, optional.limits)
		}
		private = append(private, privateServer{listener, optional.server})
	}
	if p.plain != nil {
		private = append(private, *p.plain)
	}
	if p.ConsoleListener != nil {
		local := &http.Server{Handler: p.counted(p.Console), ReadHeaderTimeout: headerTimeout}
		if certificates != nil {
			local.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificates.Get}
		}
		private = append(private, privateServer{p.ConsoleListener, local})
	}

	if most, need := openFiles(), needsFiles(limits...); most != 0 && most < need {
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
		if certificates == nil {
			failed <- web.Serve(public)
			return
		}
		web.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificates.Get, NextProtos: certificates.Protocols()}
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
