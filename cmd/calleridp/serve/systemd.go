// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// The sockets that systemd may open for the server, by the names that their units give them
// (FileDescriptorName=).
const (
	socketPublic = "public" // instead of listen
	socketAdmin  = "admin"  // instead of admin_socket
	socketHTTP   = "http"   // instead of tls.http_listen
)

// sockets are the listeners that systemd has opened, by name.
type sockets map[string]net.Listener

// inherited returns the listeners that systemd has opened, none if it has started the server
// in the usual way. It takes the variables that describe them out of the environment.
func inherited() (sockets, error) {
	all, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("sockets of systemd: %w", err)
	}
	opened := sockets{}
	for name, listeners := range all {
		switch {
		case name != socketPublic && name != socketAdmin && name != socketHTTP:
			return nil, fmt.Errorf("sockets of systemd: %q is unknown; give each socket unit FileDescriptorName=%s, %s or %s", name, socketPublic, socketAdmin, socketHTTP)
		case len(listeners) != 1 || listeners[0] == nil:
			return nil, fmt.Errorf("sockets of systemd: there are %d of the name %s, or one that does not listen; give it one ListenStream=", len(listeners), name)
		}
		network := listeners[0].Addr().Network()
		if name == socketAdmin {
			if err := checkAdminSocket(listeners[0]); err != nil {
				return nil, err
			}
		} else if network != "tcp" {
			return nil, fmt.Errorf("sockets of systemd: %s must be a TCP socket (got %s)", name, network)
		}
		opened[name] = listeners[0]
	}
	return opened, nil
}

// checkAdminSocket refuses a socket that every user of the machine can open: a process that can
// connect is an operator. systemd's own default is such a socket.
func checkAdminSocket(l net.Listener) error {
	if l.Addr().Network() != "unix" {
		return fmt.Errorf("sockets of systemd: %s must be a Unix socket (got %s)", socketAdmin, l.Addr().Network())
	}
	info, err := os.Stat(l.Addr().String())
	if err != nil {
		return fmt.Errorf("sockets of systemd: %s: %w", socketAdmin, err)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("sockets of systemd: every user of this machine can use %s (mode %04o); set SocketMode=0600 in its unit", l.Addr(), mode)
	}
	return nil
}

// listen returns the listener that systemd has opened under this name, or opens the address.
func (s sockets) listen(name, key, address string) (net.Listener, error) {
	if l, ok := s[name]; ok {
		return l, nil
	}
	return Listen(key, address)
}

// Close closes all of them.
func (s sockets) Close() {
	for _, l := range s {
		l.Close()
	}
}

// tell sends a message to the service manager, if there is one (sd_notify).
func tell(log *slog.Logger, state ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(state, "\n")); err != nil {
		log.Warn("systemd was not notified of the server's state", "error", err)
	}
}

func tellReady(log *slog.Logger) { tell(log, daemon.SdNotifyReady, "STATUS=serving") }

// tellReloading is for Type=notify-reload; READY=1 must follow.
func tellReloading(log *slog.Logger) {
	tell(log, daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec())
}

func tellStopping(log *slog.Logger) { tell(log, daemon.SdNotifyStopping, "STATUS=stopping") }

// watchdog tells the service manager that the server works, if the unit has WatchdogSec=,
// until ctx ends: while a health check passes through all handlers. One that hangs leads to
// silence, and systemd ends the server and starts another.
func watchdog(ctx context.Context, public http.Handler, log *slog.Logger) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	ticker := time.NewTicker(interval / 2)
	defer ticker.Stop()
	for {
		checked := &discarded{header: http.Header{}}
		r := (&http.Request{
			Method: http.MethodGet, URL: &url.URL{Path: PathHealth}, Header: http.Header{},
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
			RemoteAddr: "127.0.0.1:0", RequestURI: PathHealth,
		}).WithContext(ctx)
		if public.ServeHTTP(checked, r); checked.status == 0 || checked.status == http.StatusOK {
			tell(log, daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// discarded is a response that is not read.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) Write(b []byte) (int, error) { return io.Discard.Write(b) }
func (d *discarded) WriteHeader(status int)      { d.status = status }
