package main

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
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// serve is the command of the same name.
func serve(ctx context.Context, args []string, out io.Writer) error {
	f := flags("serve", "runs the server", out)
	file := configFlag(f)
	if _, err := parse(f, args); err != nil {
		return err
	}
	s, err := configured(*file)
	if err != nil {
		return err
	}
	log := logger(s)
	for _, text := range warnings(s) {
		log.Warn("configuration: " + text)
	}
	listener, err := listen("listen", s.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	var certificate *certificates
	if s.TLS.CertFile != "" {
		if certificate, err = loadCertificates(s.TLS.CertFile, s.TLS.KeyFile); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		go certificate.watch(ctx, log)
	}
	srv, err := build(ctx, s, log, false)
	if err != nil {
		return err
	}
	return srv.serve(ctx, s, listener, certificate, log, func() {
		log.Info("serving", "issuer", s.Issuer, "listen", listener.Addr().String(), "tls", certificate != nil, "version", versionText())
	})
}

// listen opens an address; a port that cannot be had gets one clear line. key is
// the setting or flag that chose it.
func listen(key, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is taken by another program; choose another port or stop that program", key, address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: this user may not listen on %s; choose a port above 1023, or grant the binary CAP_NET_BIND_SERVICE", key, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: this machine does not have the address of %s; leave out the address to listen on all", key, address)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return l, nil
}

// drainFor is how long requests may take to finish after the signal to stop.
const drainFor = 10 * time.Second

// serve answers until ctx ends, lets what is under way finish, and closes the
// store. ready is called when everything listens.
func (srv *server) serve(ctx context.Context, s settings, listener net.Listener, certificate *certificates, log *slog.Logger, ready func()) error {
	adminListener, err := listenAdmin(s.AdminSocket)
	if err != nil {
		return errors.Join(err, srv.store.Close())
	}
	defer adminListener.Close()
	var metricsListener, debugListener net.Listener
	if s.MetricsListen != "" {
		if metricsListener, err = listen("metrics_listen", s.MetricsListen); err != nil {
			return errors.Join(err, srv.store.Close())
		}
		defer metricsListener.Close()
	}
	if s.DebugListen != "" {
		if debugListener, err = listen("debug_listen", s.DebugListen); err != nil {
			return errors.Join(err, srv.store.Close())
		}
		defer debugListener.Close()
	}

	web := facing(srv.handler, log)
	web.RegisterOnShutdown(srv.drain)

	working, stopWorking := context.WithCancel(context.Background())
	worked := make(chan error, 1)
	go func() { worked <- srv.run(working) }()

	failed := make(chan error, 4)
	go func() {
		if certificate == nil {
			failed <- web.Serve(listener)
			return
		}
		web.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.get}
		failed <- web.ServeTLS(listener, "", "")
	}()
	operators := &http.Server{Handler: srv.admin, ReadHeaderTimeout: 5 * time.Second}
	go func() { failed <- operators.Serve(adminListener) }()
	monitoring := &http.Server{Handler: srv.metrics, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	if metricsListener != nil {
		go func() { failed <- monitoring.Serve(metricsListener) }()
	}
	debugging := &http.Server{Handler: profiles(), ReadHeaderTimeout: 5 * time.Second}
	if debugListener != nil {
		go func() { failed <- debugging.Serve(debugListener) }()
	}
	ready()

	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	log.Info("stopping: what is under way may finish", "at_most", drainFor.String())
	srv.draining.Store(true)
	drain, done := context.WithTimeout(context.Background(), drainFor)
	defer done()
	if web.Shutdown(drain) != nil {
		web.Close()
	}
	operators.Close()
	monitoring.Close()
	debugging.Close()
	stopWorking()
	err = errors.Join(err, <-worked)
	log.Info("stopped")
	return err
}

// facing is a server that faces the world: a request must arrive and be answered
// in time, and its header is small. A waiting page's live events lift the times
// for themselves.
func facing(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // strangers' broken connections
	}
}

// profiles are Go's own, for the loopback address of debug_listen.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// listenAdmin opens the admin socket for the owner alone. The store is locked by
// now, so that a socket that is there already was left by a process that died.
// Anything else that is there is left alone.
func listenAdmin(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("admin_socket: %w", err)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("admin_socket: another server answers at %s; give each server a path of its own", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("admin_socket: %w", err)
		}
	}
	l, err := listenPrivately(path)
	if err != nil {
		return nil, fmt.Errorf("admin_socket: %w", err)
	}
	return l, nil
}
