// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"net/http"
	"time"
)

// The paths of health checks and metrics.
const (
	PathHealth  = "/healthz" // 200 while the process responds
	PathReady   = "/readyz"  // 200 while it can do its work, else 503
	PathMetrics = "/metrics"
)

// Health responds at PathHealth.
func (p *Program) Health(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) }

// Ready responds at PathReady. The program is ready while the store can be read,
// its last commit did not fail, and it is not shutting down.
func (p *Program) Ready(w http.ResponseWriter, r *http.Request) {
	ctx, done := context.WithTimeout(r.Context(), time.Second)
	defer done()
	if _, _, err := p.Store.SigningKeys(ctx); err != nil || p.Store.Healthy() != nil || p.draining.Load() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	w.Write([]byte("ready\n"))
}
