// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/durable"
	"calleridp/provider/admin"
	"calleridp/provider/client"
	"calleridp/provider/subject"
	"calleridp/storage/backup"
	"calleridp/storage/postgres"
	"calleridp/storage/record"
	"calleridp/storage/transfer"

	"github.com/spf13/cobra"
)

type exportOptions struct {
	what         string
	config       *string
	from, target string
}

// ExportCommand returns the command `calleridp export`.
func ExportCommand() *cobra.Command {
	one := func(what, short string) *cobra.Command {
		o := exportOptions{what: what}
		c := command.New(command.Text{
			Use:   what,
			Short: short,
			Long: "It reads a backup: the newest one in backup.dir, or the one of --from. If storage.engine is postgres, it reads the database, while no server uses it. " +
				"The file is for calleridp import. It has no sessions, grants, consents or profiles.",
			Example: "calleridp export " + what + " --out " + what + ".json --config /etc/calleridp/calleridp.yaml",
		}, func(ctx context.Context, _ []string, out io.Writer) error { return export(ctx, o, out) })
		c.Flags().StringVar(&o.from, "from", "", "backup `file` to read")
		c.Flags().StringVar(&o.target, "out", "", "`file` to write, which only its owner can read; it must not exist")
		o.config = command.Config(c)
		return c
	}
	return command.Group(command.Text{Use: "export", Short: "export clients or users from a backup to a JSON file"},
		one("clients", "export the clients that operators have added, with the hashes of their secrets"),
		one("users", "export the users: sub and phone number, in the clear"),
	)
}

func export(ctx context.Context, o exportOptions, out io.Writer) error {
	if o.target == "" {
		return command.Usagef("missing --out FILE")
	}
	s, err := config.Load(*o.config)
	if err != nil {
		return err
	}
	log := newProgress(os.Stderr)
	defer log.end()
	var p admin.Portable
	if s.Postgres != nil {
		p, err = exportDatabase(ctx, s, o, log)
	} else {
		p, err = exportBackup(ctx, s, o, log)
	}
	log.end()
	if err != nil {
		return err
	}
	if err := writePrivate(o.target, p); err != nil {
		return err
	}
	for _, left := range p.LeftOut {
		fmt.Fprintln(out, "left out: "+left)
	}
	if o.what == "users" {
		_, err = fmt.Fprintf(out, "%d users, as of %s, are in %s. It has their phone numbers in the clear: delete it when it was imported.\n", len(p.Users), p.Taken.Format(time.RFC3339), o.target)
		return err
	}
	_, err = fmt.Fprintf(out, "%d clients, as of %s, are in %s, with the SHA-256 of their secrets.\n", len(p.Clients), p.Taken.Format(time.RFC3339), o.target)
	return err
}

func exportBackup(ctx context.Context, s config.Settings, o exportOptions, log *progress) (admin.Portable, error) {
	path, err := backupFile(o.from, s)
	if err != nil {
		return admin.Portable{}, err
	}
	var p admin.Portable
	err = withBackup(ctx, path, s, func(from transfer.Reader, r *backup.Reader) (err error) {
		p, err = exportFrom(ctx, from, s, o.what, log)
		p.Taken = r.Header.Taken.UTC()
		return err
	})
	return p, err
}

func exportDatabase(ctx context.Context, s config.Settings, o exportOptions, log *progress) (admin.Portable, error) {
	if o.from != "" {
		return admin.Portable{}, errors.New("storage.engine is postgres, so there is no backup file to read; leave --from out")
	}
	from, err := postgres.OpenSource(ctx, s.Master, *s.Postgres)
	if err != nil {
		return admin.Portable{}, s.StorageError(err)
	}
	defer from.Close()
	p, err := exportFrom(ctx, from, s, o.what, log)
	return p, s.StorageError(err)
}

func exportFrom(ctx context.Context, from transfer.Reader, s config.Settings, what string, log *progress) (admin.Portable, error) {
	p := admin.Portable{Format: admin.PortableFormat, Issuer: s.Issuer, Taken: time.Now().UTC()}
	_, err := transfer.Verify(ctx, from, transfer.Options{Sealer: record.NewSealer(s.Master), Issuer: s.Issuer, Progress: log.show},
		func(_ *record.Kind, stored transfer.Stored) error {
			switch r := stored.Record.(type) {
			case *record.Client:
				if what == "clients" {
					p.AddClient(client.Client(*r))
				}
			case *record.Person:
				if what == "users" {
					p.AddUser(subject.Person(*r))
				}
			}
			return nil
		})
	return p, err
}

// writePrivate writes a new file that only its owner can read, whole or not at all.
func writePrivate(path string, p admin.Portable) error {
	err := durable.WriteFile(path, func(w io.Writer) error { return command.PrintJSON(w, p) })
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}
