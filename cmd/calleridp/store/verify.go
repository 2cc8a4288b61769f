// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/keys"
	"calleridp/storage/backup"
	"calleridp/storage/postgres"
	"calleridp/storage/record"
	"calleridp/storage/transfer"

	"github.com/spf13/cobra"
)

// VerifyCommand returns the command `calleridp backup verify`.
func VerifyCommand() *cobra.Command {
	var file *string
	c := command.New(command.Text{
		Use:   "verify [FILE]",
		Short: "verify a backup without restoring it: every byte, every record, and the master key",
		Long: "Without FILE it verifies the newest backup in backup.dir. If storage.engine is postgres, it verifies the database, " +
			"for example one that was restored, while no server uses it. It changes nothing.",
		Example: "calleridp backup verify --config /etc/calleridp/calleridp.yaml",
	}, func(ctx context.Context, args []string, out io.Writer) error {
		path := ""
		if len(args) > 0 {
			path = args[0]
		}
		return verify(ctx, path, *file, out)
	})
	c.ValidArgsFunction = nil // files
	file = command.Config(c)
	return c
}

func verify(ctx context.Context, path, file string, out io.Writer) error {
	s, err := config.Load(file)
	if err != nil {
		return err
	}
	log := newProgress(os.Stderr)
	defer log.end()
	if s.Postgres != nil {
		if path != "" {
			return errors.New("storage.engine is postgres, so there is no file to check; leave FILE out to check the database")
		}
		return verifyDatabase(ctx, s, log, out)
	}
	if path, err = backupFile(path, s); err != nil {
		return err
	}
	var result transfer.Result
	var header backup.Header
	var digest [32]byte
	err = withBackup(ctx, path, s, func(from transfer.Reader, r *backup.Reader) (err error) {
		header, digest = r.Header, r.Digest()
		result, err = verifyRecords(ctx, from, s, log)
		return err
	})
	log.end()
	if err != nil {
		return err
	}
	writeCounts(out, result)
	_, err = fmt.Fprintf(out, "%s is whole: %d records, all open under the configured master key.\nIt was made at %s, %s ago, for %s, by calleridp %s (layout %d).\nDigest of the records: %x\nDigest of the file:    %x\n",
		path, result.Records, header.Taken.UTC().Format(time.RFC3339), time.Since(header.Taken).Round(time.Second), header.Issuer, header.Program, header.Schema, result.Digest, digest)
	return err
}

// backupFile returns the path of a backup: the one that is named, or the newest one.
func backupFile(named string, s config.Settings) (string, error) {
	if named != "" {
		return named, nil
	}
	all, err := backup.NewMaker(backup.Config{Dir: s.Backup.Dir}).List()
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", fmt.Errorf("backup.dir: %s has no backup; make one with calleridp backup, or name a file", s.Backup.Dir)
	}
	return all[0].Path, nil
}

// withBackup decrypts a backup into a folder of its own, and reads it there.
func withBackup(ctx context.Context, path string, s config.Settings, read func(transfer.Reader, *backup.Reader) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := backup.Open(file, s.Master)
	if err != nil {
		return err
	}
	if err := acceptable(r.Header, s.Issuer, false); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "calleridp-backup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	plain := filepath.Join(dir, "calleridp.db")
	if err := decrypt(ctx, r, plain); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("%w; the folder for temporary files needs %d MB (TMPDIR)", err, r.Header.Bytes>>20+1)
		}
		return err
	}
	from, err := openBackup(plain, s)
	if err != nil {
		return err
	}
	return errors.Join(read(from, r), from.Close())
}

// verifyDatabase checks a database that no server uses: schema, master key, issuer, signing
// keys, and every record.
func verifyDatabase(ctx context.Context, s config.Settings, log *progress, out io.Writer) error {
	from, err := postgres.OpenSource(ctx, s.Master, *s.Postgres)
	if err != nil {
		return s.StorageError(err)
	}
	defer from.Close()
	result, err := verifyRecords(ctx, from, s, log)
	log.end()
	if err != nil {
		return s.StorageError(err)
	}
	writeCounts(out, result)
	_, err = fmt.Fprintf(out, "The database is whole: %d records, all open under the configured master key. Its issuer is %s.\nDigest of the records: %x\n",
		result.Records, s.Issuer, result.Digest)
	return err
}

// verifyRecords opens every record, and the private signing keys.
func verifyRecords(ctx context.Context, from transfer.Reader, s config.Settings, log *progress) (transfer.Result, error) {
	signing := 0
	result, err := transfer.Verify(ctx, from, transfer.Options{
		Sealer:   record.NewSealer(s.Master),
		Issuer:   s.Issuer,
		Progress: log.show,
	}, func(_ *record.Kind, stored transfer.Stored) error {
		set, ok := stored.Record.(*record.KeySet)
		if !ok {
			return nil
		}
		signing += len(set.Keys)
		return keys.CheckRecords(s.Master, set.Keys)
	})
	if err == nil && signing == 0 {
		err = errors.New("it has no signing keys: no server has ever started with it")
	}
	return result, err
}

// writeCounts writes how many records of each kind there are.
func writeCounts(out io.Writer, r transfer.Result) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range r.Counts {
		fmt.Fprintf(t, "%d\t %s\t\n", c.Records, strings.ReplaceAll(c.Kind, "_", " "))
	}
	t.Flush()
}
