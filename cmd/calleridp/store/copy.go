// SPDX-License-Identifier: Apache-2.0

// Package store has the command that copies a whole store from one engine to the other.
// Unlike the commands of operator it works on the store itself, while no server does.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/storage/bolt"
	"calleridp/storage/postgres"
	"calleridp/storage/record"
	"calleridp/storage/transfer"

	"github.com/spf13/cobra"
)

// Command returns the command `calleridp store`.
func Command() *cobra.Command {
	return command.Group(command.Text{Use: "store", Short: "copy a whole store to PostgreSQL or back, while no server runs"}, copyCommand())
}

// options are the values of the flags.
type options struct {
	config, to, path string
	skip             bool
}

func copyCommand() *cobra.Command {
	var o options
	var file *string
	c := command.New(command.Text{
		Use:     "copy",
		Short:   "copy a whole store between data_dir and the configured database, while no server runs",
		Example: "calleridp store copy --to postgres --config /etc/calleridp/calleridp.yaml",
	}, func(ctx context.Context, _ []string, out io.Writer) error {
		o.config = *file
		return copyStore(ctx, o, out)
	})
	command.Choice(c, &o.to, "to", "", "", "copy from the other engine to this `engine`: postgres or bolt, where there must be no store yet", config.EnginePostgres, config.EngineBolt)
	c.Flags().StringVar(&o.path, "file", "", "use this `file` instead of calleridp.db in data_dir, for example a backup")
	c.Flags().BoolVar(&o.skip, "skip-damaged", false, "leave out records that cannot be read, and list them; a user whose own record is left out gets a new sub at the next sign-in")
	file = command.Config(c)
	return c
}

func copyStore(ctx context.Context, c options, out io.Writer) error {
	if c.to == "" {
		return command.Usagef("missing --to %s or --to %s; run calleridp store copy -h to list the flags", config.EnginePostgres, config.EngineBolt)
	}
	s, err := config.Load(c.config)
	if err != nil {
		return err
	}
	if s.Postgres == nil {
		return fmt.Errorf("storage.engine is %s, so the configuration names no database; set it to %s, with storage.dsn_file, as for the servers with the database",
			s.Storage.Engine, config.EnginePostgres)
	}
	if c.path == "" {
		c.path = s.StoreFile()
	}
	log := newProgress(os.Stderr)
	o := transfer.Options{
		Sealer:      record.NewSealer(s.Master),
		Issuer:      s.Issuer,
		SkipDamaged: c.skip,
		Damaged: func(kind, key string, err error) {
			log.line("left out: %s, %s: %v", kind, key, err)
		},
		Progress: log.show,
	}
	from, into, err := open(ctx, s, c.to, c.path, o)
	if errors.Is(err, postgres.ErrUnavailable) {
		return fmt.Errorf("the database is not available, and nothing was copied; run the command again when it is (%w)", s.StorageError(err))
	}
	if err != nil {
		return s.StorageError(err)
	}
	defer from.Close()
	result, err := transfer.Copy(ctx, from, into, o)
	log.end()
	err = errors.Join(err, into.Close())
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("interrupted; the copy is not finished and the source is as it was; run the command again")
	case errors.Is(err, postgres.ErrUnknown):
		return err
	case err != nil:
		return fmt.Errorf("the copy is not finished, and the source is as it was: %w", err)
	}
	return report(out, result, c.to, c.path)
}

type source interface {
	transfer.Reader
	io.Closer
}

type target interface {
	transfer.Writer
	io.Closer
}

// open opens both stores, the target only if there is something to copy.
func open(ctx context.Context, s config.Settings, to, path string, o transfer.Options) (from source, into target, err error) {
	if to == config.EnginePostgres {
		from, err = bolt.OpenSource(path, s.Master, bolt.Options{})
	} else {
		from, err = postgres.OpenSource(ctx, s.Master, *s.Postgres)
	}
	if err != nil {
		return nil, nil, err
	}
	if err = transfer.Check(ctx, from, o); err == nil {
		if to == config.EnginePostgres {
			into, err = postgres.OpenTarget(ctx, s.Master, *s.Postgres)
		} else {
			into, err = bolt.CreateTarget(path, s.Master, bolt.Options{})
		}
	}
	if errors.Is(err, bolt.ErrExists) {
		err = fmt.Errorf("%w with --file", err)
	}
	if err != nil {
		return nil, nil, errors.Join(err, from.Close())
	}
	return from, into, nil
}

// report says what was copied, and what comes next.
func report(out io.Writer, r transfer.Result, to, path string) error {
	writeCounts(out, r)
	fmt.Fprintf(out, "%d records were copied, read back and compared. Digest: %x\n", r.Records, r.Digest)
	if r.Damaged > 0 {
		fmt.Fprintf(out, "%d damaged records were left out.\n", r.Damaged)
	}
	next := "Now start the servers with this configuration. Never serve from " + path + " again: what is used up from now on would be valid there."
	if to == config.EngineBolt {
		next = "Now set storage.engine to bolt, remove storage.dsn_file, and start one server. Never serve from the database again: what is used up from now on would be valid there."
	}
	_, err := fmt.Fprintln(out, next)
	return err
}
