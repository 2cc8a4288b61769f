package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/storage/postgres"
)

// MigrateCommand is the command `calleridp migrate`.
func MigrateCommand(ctx context.Context, args []string, out io.Writer) error {
	f := command.New("migrate", "bring the database's schema up to date, as the first server that starts does", out)
	file := f.Config()
	if _, err := f.Arguments(args); err != nil {
		return err
	}
	s, err := Load(*file)
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

// CheckCommand is the command `calleridp config check`.
func CheckCommand(ctx context.Context, args []string, out io.Writer) error {
	f := command.New("config check", "report every error in a configuration, what this user cannot write, and whether the database can be used", out)
	file := f.Config()
	if _, err := f.Arguments(args); err != nil {
		return err
	}
	s, err := Load(*file)
	if err != nil {
		return err
	}
	if invalid := s.checkWritable(); invalid != nil {
		return &InvalidError{Source: source(*file), Keys: invalid}
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
			return &InvalidError{Source: source(*file), Keys: []KeyError{{Key: key, Reason: reason}}}
		}
		for _, w := range found {
			warnings = append(warnings, s.StorageKey(w.Field)+": "+w.Reason)
		}
	}
	for _, warning := range warnings {
		fmt.Fprintf(out, "note: %s\n", warning)
	}
	_, err = fmt.Fprintf(out, "%s: OK\n", source(*file))
	return err
}
