package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/storage/postgres"

	"github.com/spf13/cobra"
)

// Command returns the command `calleridp config`.
func Command() *cobra.Command {
	return command.Group(command.Text{Use: "config", Short: "check a configuration"}, checkCommand())
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
	if invalid := s.checkWritable(); invalid != nil {
		return &InvalidError{Source: source(file), Keys: invalid}
	}
	warnings := s.Warnings()
	if s.Postgres != nil {
		o := *s.Postgres
		o.RecoverFor = time.Second // a database that is away is reported at once
		o.Issuer = s.Issuer
		found, err := postgres.Check(ctx, s.Master, o)
		if err != nil {
			key, reason := "storage", err.Error()
			if setup, ok := errors.AsType[*postgres.SetupError](err); ok {
				key, reason = s.StorageKey(setup.Field), fmt.Sprintf("%s (%v)", setup.Reason, errors.Unwrap(setup))
			}
			if errors.Is(err, postgres.ErrIssuer) {
				key = "issuer"
			}
			return &InvalidError{Source: source(file), Keys: []KeyError{{Key: key, Reason: reason}}}
		}
		for _, w := range found {
			warnings = append(warnings, s.StorageKey(w.Field)+": "+w.Reason)
		}
	}
	for _, warning := range warnings {
		fmt.Fprintf(out, "note: %s\n", warning)
	}
	_, err = fmt.Fprintf(out, "%s: OK\n", source(file))
	return err
}
