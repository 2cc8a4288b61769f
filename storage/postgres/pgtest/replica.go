// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Replica starts a replica of the server, to which clients may connect (streaming
// replication). What it replicates goes through the proxy, which must lead to the server;
// nil: it comes straight from the server. It needs pg_basebackup, which Debian's package
// has. Stop it before the server.
func (s *Server) Replica(through *Proxy) (*Server, error) {
	dir, err := os.MkdirTemp("", "calleridp-postgres-")
	if err != nil {
		return nil, err
	}
	r := &Server{dir: dir, bin: s.bin, language: s.language}
	for _, step := range []func() error{r.own, func() error { return r.copy(s, through) }, r.Restart} {
		if err := step(); err != nil {
			r.Stop()
			return nil, err
		}
	}
	return r, nil
}

// copy copies the data of a running server, as that of its replica.
func (s *Server) copy(from *Server, through *Proxy) error {
	backup := s.command("pg_basebackup", "--dbname", from.DSN("postgres"), "--pgdata", s.data(),
		"--checkpoint", "fast", "--wal-method", "stream", "--no-sync")
	if output, err := backup.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: pg_basebackup: %w\n%s", err, output)
	}
	if err := s.write("standby.signal", nil); err != nil {
		return err
	}
	source := from.DSN("postgres")
	if through != nil {
		source = through.DSN("postgres") + " gssencmode=disable"
	}
	return s.configure([]string{
		"unix_socket_directories = '" + s.dir + "'",
		"primary_conninfo = '" + source + " application_name=replica'",
		"wal_retrieve_retry_interval = 100ms",
		"synchronous_standby_names = ''", // after its promotion, until it has a replica itself
	}, from.port > 0)
}

// WaitForReplica makes each commit wait for the replica (synchronous replication), so that
// its promotion loses nothing that was acknowledged.
func (s *Server) WaitForReplica(ctx context.Context) error {
	if err := s.configure([]string{"synchronous_standby_names = '*'"}, false); err != nil {
		return err
	}
	if _, err := s.Query(ctx, "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	return s.until(ctx, func(ctx context.Context) error {
		rows, err := s.Query(ctx, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'")
		if err == nil && len(rows) == 0 {
			err = errors.New("the replica does not follow")
		}
		return err
	})
}

// Promote makes a replica the server that takes writes. The one before must not run. No
// query waits for the promotion: its snapshot could keep the replica from replaying what
// comes before.
func (s *Server) Promote(ctx context.Context) error {
	if _, err := s.Query(ctx, "SELECT pg_promote(false)"); err != nil {
		return err
	}
	return s.until(ctx, func(ctx context.Context) error {
		rows, err := s.Query(ctx, "SELECT 1 WHERE NOT pg_is_in_recovery()")
		if err == nil && len(rows) == 0 {
			err = errors.New("the replica is not promoted yet")
		}
		return err
	})
}
