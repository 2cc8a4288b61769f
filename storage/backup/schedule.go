// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"context"
	"sync"
	"time"

	"calleridp/provider/clock"
)

// retryAfter is how long Run waits after a failure, unless Every is shorter.
const retryAfter = 5 * time.Minute

// Stats are for operators.
type Stats struct {
	Made     uint64 // since the start
	Failures uint64
	Last     time.Time // when the newest backup was made; zero: there is none
}

type stats struct {
	mu  sync.Mutex
	now Stats
}

func (s *stats) note(f File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.now.Failures++
		return
	}
	s.now.Made++
	s.now.Last = f.Taken
}

// Stats returns the counters. Last is also that of an earlier run.
func (m *Maker) Stats() Stats {
	m.stats.mu.Lock()
	now := m.stats.now
	m.stats.mu.Unlock()
	if now.Last.IsZero() {
		now.Last = m.newest(time.Now())
	}
	return now
}

// newest returns when the newest backup in the folder was made. One that lies ahead of the
// clock does not count: it must not keep the next ones from being made.
func (m *Maker) newest(now time.Time) time.Time {
	all, err := m.List()
	if err != nil {
		return time.Time{}
	}
	for _, f := range all {
		if !clock.Ahead(f.Taken, now) {
			return f.Taken
		}
	}
	return time.Time{}
}

// Run makes a backup whenever the newest one is older than Every, until ctx is done. A
// restart does not change when the next one is due. After a failure it tries again
// every five minutes.
func (m *Maker) Run(ctx context.Context) {
	if m.cfg.Every <= 0 {
		return
	}
	var retry time.Time // after a failure
	for {
		now := time.Now()
		due := m.newest(now).Add(m.cfg.Every)
		if due.Before(retry) {
			due = retry
		}
		if due.After(now) {
			// The clock may be put right meanwhile, so it looks again every minute.
			if !sleep(ctx, min(due.Sub(now), time.Minute)) {
				return
			}
			continue
		}
		made, err := m.Make(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			after := min(retryAfter, m.cfg.Every)
			retry = time.Now().Add(after)
			m.cfg.Log.Error("the backup of the store was not made; it is tried again", "in", after.String(), "error", err)
			continue
		}
		retry = time.Time{}
		m.cfg.Log.Info("the store was backed up", "file", made.Path, "bytes", made.Bytes)
		if m.cfg.Made != nil {
			m.cfg.Made(ctx, made)
		}
	}
}

// sleep waits, and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
