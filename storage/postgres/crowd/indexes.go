// SPDX-License-Identifier: Apache-2.0

package crowd

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// grown is how full, in percent, a B-tree page is on average that random keys were
// inserted into: ln 2. An index that is built over a whole table has fuller pages than
// one that a deployment has after years, and would look smaller than it.
const grown = 69

// index is one of a table, as its makers wrote it.
type index struct {
	table, name string
	constraint  bool   // a primary key, or another unique one
	definition  string // of the constraint, or CREATE INDEX
	scattered   bool   // its keys are inserted at random places
}

// takeIndexes drops the indexes of tables, so that filling them does not read and write a
// random page for each row, and returns what makes them again.
func takeIndexes(ctx context.Context, db *pgx.Conn, tables []string) ([]index, error) {
	rows, err := db.Query(ctx, `SELECT t.relname::text, i.relname::text, c.oid IS NOT NULL,
			coalesce(pg_get_constraintdef(c.oid), pg_get_indexdef(i.oid)), a.attname <> 'due'
		FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
			JOIN pg_attribute a ON a.attrelid = i.oid AND a.attnum = 1 LEFT JOIN pg_constraint c ON c.conindid = i.oid
		WHERE t.relname = ANY($1) AND t.relnamespace = 'public'::regnamespace ORDER BY 1, c.oid IS NULL, 2`, tables)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (x index, err error) {
		err = row.Scan(&x.table, &x.name, &x.constraint, &x.definition, &x.scattered)
		return x, err
	})
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		drop := fmt.Sprintf("DROP INDEX %s", x.name)
		if x.constraint {
			drop = fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", x.table, x.name)
		}
		if _, err := db.Exec(ctx, drop); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// make builds the index over the filled table, as large as if it had grown with it.
func (x index) make(ctx context.Context, db *pgx.Conn) error {
	with := ""
	if x.scattered {
		with = fmt.Sprintf(" WITH (fillfactor = %d)", grown)
	}
	definition, where, partial := strings.Cut(x.definition, " WHERE ")
	if partial {
		where = " WHERE " + where
	}
	sql := definition + with + where
	if x.constraint {
		sql = fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s", x.table, x.name, sql)
	}
	if _, err := db.Exec(ctx, sql); err != nil || with == "" {
		return err
	}
	_, err := db.Exec(ctx, fmt.Sprintf("ALTER INDEX %s RESET (fillfactor)", x.name))
	return err
}
