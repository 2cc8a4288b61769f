// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooler starts Debian's PgBouncer in transaction mode in front of the server, until
// the server stops. dsn returns the connection string through it for one of the
// server's.
func (s *Server) Pooler() (dsn func(direct string) string, err error) {
	return s.startPooler("pooler", "")
}

// LaxPooler starts one that accepts the settings that a client sends when it connects, and
// ignores them. That of Pooler refuses such a client.
func (s *Server) LaxPooler() (dsn func(direct string) string, err error) {
	return s.startPooler("lax", "ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout\n")
}

func (s *Server) startPooler(name, more string) (dsn func(direct string) string, err error) {
	binary, err := exec.LookPath("pgbouncer")
	if err != nil {
		return nil, fmt.Errorf("pgtest: there is no PgBouncer; install Debian's package pgbouncer: %w", err)
	}
	dir := filepath.Join(s.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s user=calleridp
[pgbouncer]
listen_addr =
unix_socket_dir = %s
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
logfile = %s
`, s.dir, dir, filepath.Join(dir, "log"))
	if err := os.WriteFile(config, []byte(text+more), 0o644); err != nil {
		return nil, err
	}
	if s.owner != nil {
		for _, path := range []string{dir, config} {
			if err := os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
				return nil, err
			}
		}
	}
	cmd := exec.Command(binary, "-q", config)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	pooler, err := start(cmd)
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	s.poolers = append(s.poolers, pooler)
	dsn = func(direct string) string { return strings.Replace(direct, "host="+s.dir, "host="+dir+" port=6432", 1) }
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn(s.DSN("postgres")))
		if err == nil {
			return dsn, conn.Close(ctx)
		}
		select {
		case <-pooler.ended:
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return nil, fmt.Errorf("pgtest: PgBouncer has ended:\n%s", log)
		case <-ctx.Done():
			return nil, fmt.Errorf("pgtest: PgBouncer accepts no connections: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
