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

// pause says that the program is no longer ready, and goes on serving for a while, so
// that a load balancer sends new requests elsewhere before the listener closes. It
// returns early with the error of a listener.
func (p *Program) pause(delay time.Duration, failed <-chan error, log *slog.Logger) error {
	p.draining.Store(true)
	if delay == 0 {
		return nil
	}
	log.Info("stopping: not ready any more, and serving on for load balancers to notice", "for", delay.String())
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case err := <-failed:
		return err
	case <-timer.C:
		return nil
	}
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

// finish closes the listener, lets requests under way finish, and closes connections
// that have none.
func (p *Program) finish(web *http.Server, log *slog.Logger) {
	p.draining.Store(true)
	log.Info("stopping: what is under way may finish", "at_most", drainTimeout.String())
	ctx, done := context.WithTimeout(context.Background(), drainTimeout)
	defer done()
	go p.Connections.closeSilent(ctx)
	if web.Shutdown(ctx) != nil {
		log.Warn("stopping: requests that had not finished were cut off")
		web.Close()
	}
}
