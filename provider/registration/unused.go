// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"context"
	"time"

	"calleridp/provider/audit"
)

// lookEvery is how often clients are looked for that were never used.
const lookEvery = time.Hour

// Run removes clients that registered themselves and were never used, until ctx is done.
// It does so also while registration is closed.
func (e *Endpoint) Run(ctx context.Context) {
	if e.cfg.Policy.UnusedFor <= 0 {
		return
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		removed, err := e.cfg.Clients.RemoveUnused(ctx, time.Now().Add(-e.cfg.Policy.UnusedFor))
		for _, id := range removed {
			e.cfg.Audit.Record(ctx, audit.Event{Name: audit.ClientExpired, Client: id})
		}
		if err != nil && ctx.Err() == nil {
			e.cfg.Failures.Correlate(ctx, "removing unused clients", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
