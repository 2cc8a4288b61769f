// SPDX-License-Identifier: Apache-2.0

package postgres

import "context"

type traceKey struct{}

// Traced returns a context that reports each round trip to the database, before it, on
// the goroutine that makes it. It is for tests that count them.
func Traced(ctx context.Context, trip func()) context.Context {
	return context.WithValue(ctx, traceKey{}, trip)
}

// trip counts a round trip.
func (s *Store) trip(ctx context.Context) {
	s.trips.Add(1)
	if report, traced := ctx.Value(traceKey{}).(func()); traced {
		report()
	}
}
