// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"calleridp/storage/record"
)

// Some reads of a request are always followed by another: that of an access token by its
// user and its client. The first sends them all, in one round trip, and the other ones
// find here what it has brought. Each is used once, so that who asks twice reads twice.

type aheadKey struct{}

// ahead are rows that the reads of one request have brought along.
type ahead struct {
	mu       sync.Mutex
	rows     map[place][]byte // nil: there is none
	recalled []guessed        // by which the request's next use of a code was decided
	foreseen []place          // that will be asked for
}

// Requests gives each request of a handler what its reads bring along.
func Requests(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), aheadKey{}, &ahead{})))
	})
}

// bring keeps a row for a later read of the request.
func bring(ctx context.Context, p place, value []byte) {
	if a, ok := ctx.Value(aheadKey{}).(*ahead); ok {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.rows == nil {
			a.rows = map[place][]byte{}
		}
		a.rows[p] = value
	}
}

// foresee notes a row that the request will ask for.
func foresee(ctx context.Context, p place) {
	if a, ok := ctx.Value(aheadKey{}).(*ahead); ok {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.foreseen = append(a.foreseen, p)
	}
}

// foreseen returns the rows that the request has foreseen.
func foreseen(ctx context.Context) []place {
	a, ok := ctx.Value(aheadKey{}).(*ahead)
	if !ok {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.foreseen)
}

// recall keeps a row that the memory has for a later read of the request, whose use of a
// code the database then compares with it.
func recall(ctx context.Context, p place, value []byte) {
	bring(ctx, p, value)
	if a, ok := ctx.Value(aheadKey{}).(*ahead); ok {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.recalled = append(a.recalled, guessed{p, value})
	}
}

// recalled returns the rows that the request has recalled, once.
func recalled(ctx context.Context) []guessed {
	a, ok := ctx.Value(aheadKey{}).(*ahead)
	if !ok {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	rows := a.recalled
	a.recalled = nil
	return rows
}

// brings reports whether the request of ctx keeps what is brought along.
func brings(ctx context.Context) bool {
	_, ok := ctx.Value(aheadKey{}).(*ahead)
	return ok
}

// brought returns a row that was brought along, once. exists is false if there is none.
func (s *Store) brought(ctx context.Context, k *record.Kind, key []byte, into record.Record) (exists, was bool, err error) {
	a, ok := ctx.Value(aheadKey{}).(*ahead)
	if !ok {
		return false, false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := at(k, key)
	value, was := a.rows[p]
	if !was {
		return false, false, nil
	}
	delete(a.rows, p)
	if len(value) == 0 {
		return false, true, nil
	}
	return true, true, s.sealer.Open(k, key, value, into)
}
