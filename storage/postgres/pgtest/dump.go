// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Dump returns a database as SQL statements that Load takes.
func (s *Server) Dump(dsn string) ([]byte, error) {
	out, err := s.command("pg_dump", "--inserts", "--no-owner", "--no-privileges", "--dbname", dsn).Output()
	if err != nil {
		return nil, fmt.Errorf("pgtest: pg_dump: %w", err)
	}
	var statements []byte
	for line := range bytes.Lines(out) { // without what only psql knows, and the versions of the programs
		if !bytes.HasPrefix(line, []byte(`\`)) && !bytes.HasPrefix(line, []byte("--")) {
			statements = append(statements, line...)
		}
	}
	return statements, nil
}

// Load runs the statements of Dump in an empty database.
func (s *Server) Load(ctx context.Context, dsn string, statements []byte) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, string(statements)).ReadAll()
	return err
}
