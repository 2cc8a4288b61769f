// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// When several processes share a store, these hold:
//
//   - A key is in the JWKS of every process before any signs with it.
//   - A key that is removed signs in no process.
//
// No process signs with a set, or publishes one, that it has read more than freshFor
// ago; without the store it does not sign. A process that changes the set waits for
// settleFor: after a next key was stored and before it signs, and after a key was retired
// and before it is removed.
const (
	freshFor  = time.Second
	settleFor = 2 * freshFor

	// settled is how old a change is that needs no wait: more than clocks differ.
	settled = time.Minute
	// readTimeout bounds reading the set.
	readTimeout = 10 * time.Second
)

// reading is one read of the stored set. All who need one wait for it.
type reading struct {
	done chan struct{}
	err  error // when done is closed
}

// Freshen makes the ring use a set that was stored at most a second ago. Unless other
// processes share the store, that is the one in use.
func (r *Ring) Freshen(ctx context.Context) error {
	for begun := time.Now(); !r.isFresh(begun); {
		read := r.read()
		select {
		case <-read.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if read.err != nil {
			return read.err
		}
	}
	return nil
}

func (r *Ring) isFresh(now time.Time) bool {
	return !r.cfg.Shared || now.Sub(*r.checked.Load()) <= freshFor
}

// freshen is Freshen for callers that have no context.
func (r *Ring) freshen() error {
	if r.isFresh(time.Now()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	return r.Freshen(ctx)
}

// read begins to read the stored set, unless that is under way.
func (r *Ring) read() *reading {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.now != nil {
		return r.now
	}
	read := &reading{done: make(chan struct{})}
	r.now = read
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
		defer cancel()
		read.err = r.Refresh(ctx)
		r.reading.Lock()
		r.now = nil
		r.reading.Unlock()
		close(read.done)
	}()
	return read
}

// Refresh uses the set that is stored now, which another process may have changed.
func (r *Ring) Refresh(ctx context.Context) error {
	begun := time.Now()
	_, version, err := r.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if version == r.current.Load().version {
		r.check(begun)
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reload(ctx)
}

// check notes when a read began whose set is in use.
func (r *Ring) check(begun time.Time) {
	for {
		last := r.checked.Load()
		if last != nil && !begun.After(*last) || r.checked.CompareAndSwap(last, &begun) {
			return
		}
	}
}

// changeSettled is change, after the other processes have seen the keys that fresh
// chooses, because they have just come into their state.
func (r *Ring) changeSettled(
	ctx context.Context, fresh func(k Record, now time.Time) bool, next func(records []Record, now time.Time) ([]Record, error),
) error {
	var waited []string
	for {
		var young []string
		err := r.change(ctx, func(records []Record, now time.Time) ([]Record, error) {
			young = nil
			changed, err := next(slices.Clone(records), now)
			if err != nil || !r.cfg.Shared {
				return changed, err
			}
			for _, k := range records {
				if fresh(k, now) && !slices.Contains(waited, k.ID) {
					young = append(young, k.ID)
				}
			}
			if len(young) > 0 {
				return nil, nil
			}
			return changed, nil
		})
		if err != nil || len(young) == 0 {
			return err
		}
		select {
		case <-time.After(settleFor):
			waited = append(waited, young...)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
