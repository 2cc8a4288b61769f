// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"time"

	"calleridp/storage/record"
)

// Healthy returns nil while writes become durable. After a commit that failed, it
// returns that error until one succeeds; while the file is not where it was, it
// says so.
func (s *Store) Healthy() error {
	if err := s.inPlace(); err != nil {
		return err
	}
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// committed notes the outcome of a commit, and logs when it differs in kind from
// the one before.
func (s *Store) committed(err error) {
	if err == nil {
		s.commits.Add(1)
		if s.failed.Swap(nil) != nil {
			s.log.Info("commits of the store succeed again")
		}
		return
	}
	s.failures.Add(1)
	if s.failed.Swap(&err) == nil {
		s.log.Error("a commit of the store failed; until one succeeds, the server is not ready", "error", err)
	}
}

// metaProbe is what tryAgain writes.
var metaProbe = []byte("probe")

// tryAgain commits something if the last commit failed. A server that is not ready
// gets no requests, and would never find out that its disk has room again.
func (s *Store) tryAgain(ctx context.Context) {
	if s.failed.Load() == nil {
		return
	}
	at := time.Now().UTC().Format(time.RFC3339)
	s.write(ctx, func(t *txn) error { return t.put(&meta, metaProbe, never, (*record.Text)(&at)) }) // committed notes what comes of it
}
