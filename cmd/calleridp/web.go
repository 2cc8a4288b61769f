package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"calleridp/provider"
)

func serve(ctx context.Context, args []string, out io.Writer) error {
	f := flags("serve", "runs the server", out)
	file := f.String("config", "", "the configuration `file`")
	if err := parse(f, args); err != nil {
		return err
	}
	s, err := configured(*file)
	if err != nil {
		return err
	}
	log := logger(s)
	slog.SetDefault(log)
	srv, err := build(ctx, s, log, false)
	if err != nil {
		return err
	}
	listener, err := listen("listen", s.Listen)
	if err != nil {
		srv.store.Close()
		return err
	}
	var certificate *certificates
	if s.TLS.CertFile != "" {
		if certificate, err = loadCertificates(s.TLS.CertFile, s.TLS.KeyFile); err != nil {
			srv.store.Close()
			return fmt.Errorf("tls: %w", err)
		}
		go certificate.watch(ctx, log)
	}
	log.Info("serving", "issuer", s.Issuer, "listen", listener.Addr().String(), "tls", certificate != nil, "version", versionText())
	return srv.serve(ctx, s, listener, certificate, log)
}

// listen opens an address; a taken port gets one clear line.
func listen(key, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is taken by another program; choose another port or stop that program", key, address)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return l, nil
}

// drainFor is how long requests may take to finish after the signal to stop.
const drainFor = 10 * time.Second

// serve answers until ctx ends, lets what is under way finish, and closes the
// store.
func (srv *server) serve(ctx context.Context, s settings, listener net.Listener, certificate *certificates, log *slog.Logger) error {
	web := &http.Server{
		Handler:           srv.handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	web.RegisterOnShutdown(srv.drain)

	adminListener, err := listenAdmin(s.AdminSocket)
	if err != nil {
		listener.Close()
		srv.store.Close()
		return err
	}
	operators := &http.Server{Handler: srv.admin, ReadHeaderTimeout: 5 * time.Second}

	working, stopWorking := context.WithCancel(context.Background())
	worked := make(chan error, 1)
	go func() { worked <- srv.run(working) }()

	failed := make(chan error, 3)
	go func() {
		if certificate == nil {
			failed <- web.Serve(listener)
			return
		}
		web.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.get}
		failed <- web.ServeTLS(listener, "", "")
	}()
	go func() { failed <- operators.Serve(adminListener) }()
	if s.DebugListen != "" {
		stop, err := serveProfiles(s.DebugListen, failed)
		if err != nil {
			failed <- err
		} else {
			defer stop()
		}
	}

	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	log.Info("stopping")
	drain, done := context.WithTimeout(context.Background(), drainFor)
	defer done()
	if web.Shutdown(drain) != nil {
		web.Close()
	}
	operators.Close()
	stopWorking()
	return errors.Join(err, <-worked)
}

func serveProfiles(address string, failed chan<- error) (stop func() error, err error) {
	l, err := listen("debug_listen", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	debugging := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { failed <- debugging.Serve(l) }()
	return debugging.Close, nil
}

// listenAdmin opens the admin socket for the owner alone. The store is locked by
// now, so that a socket that is there already was left by a process that died.
func listenAdmin(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("admin_socket: %w", err)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		os.Remove(path)
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("admin_socket: %w", err)
	}
	return l, nil
}

// certificates is a certificate that is read again when its file changes.
type certificates struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	changed           time.Time
}

func loadCertificates(certFile, keyFile string) (*certificates, error) {
	c := &certificates{certFile: certFile, keyFile: keyFile}
	return c, c.load()
}

func (c *certificates) load() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.changed = info.ModTime()
	c.current.Store(&pair)
	return nil
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// watch looks at the file every few seconds. A pair that does not load leaves
// the old one in use.
func (c *certificates) watch(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		info, err := os.Stat(c.certFile)
		if err == nil && info.ModTime().Equal(c.changed) {
			continue
		}
		if err == nil {
			err = c.load()
		}
		if err != nil {
			log.Error("the new certificate does not load; the old one stays in use", "error", err)
			continue
		}
		log.Info("certificate loaded")
	}
}

// clientAddresses tells a browser's address. X-Forwarded-For is believed only as
// far as trusted proxies wrote it: from its right end to the first address that
// is none of theirs.
type clientAddresses struct{ trusted []netip.Prefix }

func (a clientAddresses) of(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap()
	if !a.trusts(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return addr
		}
		if addr = hop.Unmap(); !a.trusts(addr) {
			return addr
		}
	}
	return addr
}

func (a clientAddresses) trusts(addr netip.Addr) bool {
	for _, p := range a.trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// bodyDeadline bounds how long a request's body may take to arrive.
func bodyDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(15 * time.Second)) // recorders in tests have none
		}
		next.ServeHTTP(w, r)
	})
}

// observe logs one event for each request, turns a panic into a plain 500, and
// gives each answer an id by which the log can be searched. Neither the query
// nor the secret part of a callback's path is logged (invariant 10).
func observe(log *slog.Logger, addresses clientAddresses) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun := time.Now()
			id := rand.Text()[:16]
			w.Header().Set("X-Request-Id", id)
			seen := &statusWriter{ResponseWriter: w}
			defer func() {
				if p := recover(); p != nil {
					if p == http.ErrAbortHandler {
						panic(p)
					}
					log.Error("panic", "request_id", id, "panic", p, "stack", string(debug.Stack()))
					if seen.status == 0 {
						http.Error(seen, "Something went wrong on our side. Reference: "+id, http.StatusInternalServerError)
					}
				}
				log.LogAttrs(r.Context(), slog.LevelInfo, "request",
					slog.String("request_id", id), slog.String("method", r.Method), slog.String("path", loggedPath(r.URL.Path)),
					slog.Int("status", seen.status), slog.Float64("took_ms", float64(time.Since(begun).Microseconds())/1000), slog.String("from", addresses.of(r).String()))
			}()
			next.ServeHTTP(seen, r)
		})
	}
}

func loggedPath(path string) string {
	if rest, ok := strings.CutPrefix(path, provider.PathCallback); ok {
		app, _, _ := strings.Cut(rest, "/")
		if len(app) > 32 {
			app = "..."
		}
		return provider.PathCallback + app + "/..."
	}
	if len(path) > 200 {
		return path[:200] + "..."
	}
	return path
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
