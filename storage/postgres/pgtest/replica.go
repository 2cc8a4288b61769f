package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Replica makes a replica of the server and starts it. From then on each commit of the
// server waits for it (synchronous streaming replication), so that a promotion loses
// nothing that was acknowledged. What it replicates goes through the proxy, which must
// lead to the server. It needs pg_basebackup, which Debian's package has.
func (s *Server) Replica(through *Proxy) (*Server, error) {
	dir, err := os.MkdirTemp("", "calleridp-postgres-")
	if err != nil {
		return nil, err
	}
	r := &Server{dir: dir, bin: s.bin}
	for _, step := range []func() error{r.own, func() error { return r.copy(s, through) }, r.Restart, func() error { return s.waitFor(r) }} {
		if err := step(); err != nil {
			r.Stop()
			return nil, err
		}
	}
	return r, nil
}

// copy copies the data of a running server, as that of its replica.
func (s *Server) copy(from *Server, through *Proxy) error {
	backup := s.command("pg_basebackup", "--host", from.dir, "--username", "calleridp", "--pgdata", s.data(),
		"--checkpoint", "fast", "--wal-method", "stream", "--no-sync")
	if output, err := backup.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: pg_basebackup: %w\n%s", err, output)
	}
	signal := filepath.Join(s.data(), "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		return err
	}
	if s.owner != nil {
		if err := os.Chown(signal, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return err
		}
	}
	return s.set(
		"unix_socket_directories = '"+s.dir+"'",
		fmt.Sprintf("primary_conninfo = 'host=127.0.0.1 port=%s sslmode=disable gssencmode=disable user=calleridp application_name=replica'", through.Port()),
		"wal_retrieve_retry_interval = 100ms",
		"synchronous_standby_names = ''", // after its promotion, until it has a replica itself
	)
}

// waitFor makes each commit wait for a replica.
func (s *Server) waitFor(r *Server) error {
	if err := s.set("synchronous_standby_names = '*'"); err != nil {
		return err
	}
	ctx := context.Background()
	if err := s.query(ctx, "SELECT pg_reload_conf()", nil); err != nil {
		return err
	}
	return r.until(ctx, func() error {
		follows := false
		err := s.query(ctx, "SELECT FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'",
			func(pgx.CollectableRow) error {
				follows = true
				return nil
			})
		if err == nil && !follows {
			err = errors.New("the replica does not follow")
		}
		return err
	})
}

// TakeOver makes a replica the server that takes writes (promotion). The one before must
// not run.
func (s *Server) TakeOver(ctx context.Context) error {
	promoted := false
	err := s.query(ctx, "SELECT pg_promote(true, 120)", func(row pgx.CollectableRow) error { return row.Scan(&promoted) })
	if err == nil && !promoted {
		err = fmt.Errorf("pgtest: the replica was not promoted:\n%s", s.Log())
	}
	return err
}

// set adds settings, which win over those before.
func (s *Server) set(settings ...string) error {
	conf, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = conf.WriteString("\n" + strings.Join(settings, "\n") + "\n")
	return errors.Join(err, conf.Close())
}
