// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// drainTimeout bounds how long requests may take to finish once the listener has
// closed.
const drainTimeout = 10 * time.Second

// lastTimeout bounds how long handlers and streams may take to end after they were cut
// off.
const lastTimeout = time.Second

// StopsWithin is how long a server may take to stop, beside drain.ready_delay.
const StopsWithin = drainTimeout + lastTimeout

// pause says that the program is no longer ready, and goes on serving for a while, so
// that a load balancer sends new requests elsewhere before the listener closes. It
// returns early with the error of a listener.
func (p *Program) pause(delay time.Duration, failed <-chan error, log *slog.Logger) error {
	p.draining.Store(true)
	tellStopping(log)
	if delay == 0 {
		return nil
	}
	log.Info("stopping: not ready, and still serving until load balancers notice", "for", delay.String())
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case err := <-failed:
		return err
	case <-timer.C:
		return nil
	}
}

// counted lets stopping wait for the handler, also if that gave its connection away or was
// cut off. http.Server.Shutdown and Close do not.
func (p *Program) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.handlers.Add(1)
		defer p.handlers.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// settled waits until no handler runs and no connection is open, those of event streams
// included. It returns the error of ctx if that ends before.
func (p *Program) settled(ctx context.Context) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for p.handlers.Load() > 0 || p.Connections.Open() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// lastResponses lets each connection end with its response while the program stops, so
// that few are left when the listener closes.
func (p *Program) lastResponses(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// finish closes the listeners, lets requests and event streams under way finish, and
// closes connections that have none. What has not finished in time is cut off. Afterwards
// nothing writes to the log, except a handler that ignores being cut off.
func (p *Program) finish(web *http.Server, private []privateServer, log *slog.Logger) {
	p.draining.Store(true)
	log.Info("stopping: requests in progress may finish", "at_most", drainTimeout.String())
	ctx, done := context.WithTimeout(context.Background(), drainTimeout)
	defer done()
	go p.Connections.closeSilent(ctx)
	err := web.Shutdown(ctx)
	if err == nil {
		err = p.settled(ctx)
	}
	for _, one := range private {
		one.server.Close()
	}
	if err != nil {
		log.Warn("stopping: requests that had not finished were cut off")
		p.Connections.cutOff()
	}
	last, ended := context.WithTimeout(context.Background(), lastTimeout)
	defer ended()
	_ = p.settled(last) // there is nothing more to be done about them
}
