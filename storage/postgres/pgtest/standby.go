package pgtest

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby starts a streaming replica of the server, to which clients may connect. Stop
// it before the server.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	dir, err := os.MkdirTemp("", "calleridp-postgres-")
	if err != nil {
		return nil, err
	}
	standby := &Server{dir: dir, bin: s.bin, language: s.language}
	start := func() error {
		if err := standby.own(); err != nil {
			return err
		}
		backup := standby.command("pg_basebackup", "--dbname", s.DSN("postgres"), "--pgdata", standby.data(),
			"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
		if output, err := backup.CombinedOutput(); err != nil {
			return fmt.Errorf("pgtest: pg_basebackup: %w\n%s", err, output)
		}
		if err := standby.configure([]string{"unix_socket_directories = '" + dir + "'"}, s.port > 0); err != nil {
			return err
		}
		return standby.Restart()
	}
	if err := start(); err != nil {
		standby.Stop()
		return nil, err
	}
	return standby, nil
}

// Promote makes a standby a server of its own.
func (s *Server) Promote(ctx context.Context) error {
	return s.do(ctx, "SELECT pg_promote()")
}

// CaughtUp waits until a standby has everything that the server has now.
func (s *Server) CaughtUp(ctx context.Context, standby *Server) error {
	var position string
	if err := s.ask(ctx, "SELECT pg_current_wal_flush_lsn()::text", &position); err != nil {
		return err
	}
	for {
		var there bool
		err := standby.ask(ctx, "SELECT pg_last_wal_replay_lsn() >= '"+position+"'::pg_lsn", &there)
		if err != nil || there {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) do(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func (s *Server) ask(ctx context.Context, sql string, into any) error {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, sql).Scan(into)
}
