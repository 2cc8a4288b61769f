// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"errors"
	"fmt"
	"io"

	"calleridp/cmd/calleridp/command"
	"calleridp/storage/postgres"

	"github.com/spf13/cobra"
)

// Command returns the command `calleridp config`. more are those of its commands that ask the
// running server.
func Command(more ...*cobra.Command) *cobra.Command {
	return command.Group(command.Text{Use: "config", Short: "check a configuration, or show the one in use"}, append([]*cobra.Command{checkCommand()}, more...)...)
}

// MigrateCommand returns the command `calleridp migrate`.
func MigrateCommand() *cobra.Command {
	var file *string
	c := command.New(command.Text{
		Use:     "migrate",
		Short:   "bring the schema of a PostgreSQL database up to date, as the first server that starts does",
		Example: "calleridp migrate --config /etc/calleridp/calleridp.yaml",
	}, func(ctx context.Context, _ []string, out io.Writer) error { return migrate(ctx, *file, out) })
	file = command.Config(c)
	return c
}

func migrate(ctx context.Context, file string, out io.Writer) error {
	s, err := Load(file)
	if err != nil {
		return err
	}
	if s.Postgres == nil {
		return fmt.Errorf("storage.engine is %s, which has no schema to migrate", s.Storage.Engine)
	}
	store, err := postgres.Open(ctx, s.Master, *s.Postgres)
	if errors.Is(err, postgres.ErrUnavailable) {
		return fmt.Errorf("the database is not available; run calleridp migrate again when it is: each migration is done whole or not at all (%w)", s.StorageError(err))
	}
	if err != nil {
		return s.StorageError(err)
	}
	if err := store.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "the schema is up to date")
	return err
}

func checkCommand() *cobra.Command {
	var file *string
	c := command.New(command.Text{
		Use:     "check",
		Short:   "report every error in a configuration, what this user cannot write, and whether the database can be used",
		Example: "calleridp config check --config /etc/calleridp/calleridp.yaml",
	}, func(ctx context.Context, _ []string, out io.Writer) error { return checkFile(ctx, *file, out) })
	file = command.Config(c)
	return c
}

func checkFile(ctx context.Context, file string, out io.Writer) error {
	s, err := Load(file)
	if err != nil {
		return err
	}
	warnings, err := s.Examine(ctx, file)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintf(out, "note: %s\n", warning)
	}
	_, err = fmt.Fprintf(out, "%s: OK\n", source(file))
	return err
}
