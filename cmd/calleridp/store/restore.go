// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/durable"
	"calleridp/storage/backup"
	"calleridp/storage/bolt"
	"calleridp/storage/record"
	"calleridp/storage/transfer"

	"github.com/spf13/cobra"
)

type restoreOptions struct {
	config       *string
	signOut      bool
	changeIssuer bool
	skip         bool
}

// RestoreCommand returns the command `calleridp restore`.
func RestoreCommand() *cobra.Command {
	var o restoreOptions
	c := command.New(command.Text{
		Use:   "restore FILE",
		Short: "restore a backup into a deployment without a store, while no server runs",
		Long: "It needs the configuration and the master key of the deployment. The store in data_dir must be gone: move it away first. " +
			"The new store is verified before a server may use it; after an interruption, run the command again. " +
			"What was used, ended or deleted after the backup is as it was before: the command says what that means.",
		Example: "calleridp restore /mnt/backups/calleridp-20261130T061500.000Z.backup --config /etc/calleridp/calleridp.yaml",
	}, func(ctx context.Context, args []string, out io.Writer) error {
		return restore(ctx, args[0], o, out)
	})
	c.ValidArgsFunction = nil // files
	c.Flags().BoolVar(&o.signOut, "sign-out-all", false, "restore no session and no grant: every user signs in again; use it after a theft")
	c.Flags().BoolVar(&o.changeIssuer, "change-issuer", false, "restore a backup of another issuer, and make it the store of the configured one, as for a rehearsal at another address")
	c.Flags().BoolVar(&o.skip, "skip-damaged", false, "leave out records that cannot be read, and list them; a user whose own record is left out gets a new sub at the next sign-in")
	o.config = command.Config(c)
	return c
}

// restoring is what the name of a decrypted backup adds to the store's, until it was read.
const restoring = ".restore"

func restore(ctx context.Context, path string, o restoreOptions, out io.Writer) error {
	s, err := config.Load(*o.config)
	if err != nil {
		return err
	}
	if s.Postgres != nil {
		return errors.New("storage.engine is postgres: restore the database with its own tools, and check it with calleridp backup verify")
	}
	if conn, err := net.DialTimeout("unix", s.AdminSocket, time.Second); err == nil {
		conn.Close()
		return fmt.Errorf("a server runs with this configuration (%s responds); stop it first", s.AdminSocket)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := backup.Open(file, s.Master)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := acceptable(r.Header, s.Issuer, o.changeIssuer); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	log := newProgress(os.Stderr)
	defer log.end()
	result, err := makeStore(ctx, s, r, o, log)
	switch {
	case ctx.Err() != nil && err != nil:
		return errors.New("interrupted: nothing was restored; run the command again")
	case errors.Is(err, bolt.ErrExists):
		return fmt.Errorf("%w; nothing was restored", err)
	case err != nil:
		return fmt.Errorf("%s: nothing was restored: %w", path, err)
	}
	if err := reportRestored(out, r.Header, result, s, o); err != nil {
		return err
	}
	return reportAudit(ctx, out, s)
}

// acceptable refuses a backup of another deployment, and one that this version cannot
// read.
func acceptable(h backup.Header, issuer string, change bool) error {
	switch {
	case h.Schema > bolt.Schema:
		return fmt.Errorf("%w (layout %d by calleridp %s, this version knows up to %d); use that version, or an older backup",
			backup.ErrNewer, h.Schema, h.Program, bolt.Schema)
	case h.Issuer != issuer && !change:
		return fmt.Errorf("it was made for %s, the configuration says %s; use the configuration of that deployment, or add --change-issuer to make it the store of this one (every client must then be told the new issuer)",
			h.Issuer, issuer)
	}
	return nil
}

// makeStore decrypts a backup beside the store that it makes of it. A server that starts
// meanwhile, or after a crash, finds a store that is not finished, and refuses it.
func makeStore(ctx context.Context, s config.Settings, r *backup.Reader, o restoreOptions, log *progress) (transfer.Result, error) {
	sealer := record.NewSealer(s.Master)
	options := transfer.Options{
		Sealer:      sealer,
		Issuer:      s.Issuer,
		SkipDamaged: o.skip,
		Damaged:     func(kind, key string, err error) { log.line("left out: %s, %s: %v", kind, key, err) },
		Progress:    log.show,
	}
	into, err := bolt.CreateTarget(s.StoreFile(), s.Master, bolt.Options{})
	if err != nil {
		return transfer.Result{}, err
	}
	result, err := func() (transfer.Result, error) {
		plain := s.StoreFile() + restoring
		defer os.Remove(plain)
		if err := decrypt(ctx, r, plain); err != nil {
			return transfer.Result{}, err
		}
		from, err := openBackup(plain, s)
		if err != nil {
			return transfer.Result{}, err
		}
		defer from.Close()
		restored := backup.Restored{Reader: from, Without: backup.Short, Sealer: sealer, Taken: r.Header.Taken, At: time.Now()}
		if o.signOut {
			restored.Without = slices.Concat(backup.Short, backup.SignedIn)
		}
		if o.changeIssuer {
			restored.Issuer = s.Issuer
		}
		return transfer.Copy(ctx, restored, into, options)
	}()
	return result, errors.Join(err, into.Close())
}

// decrypt writes the store's file of a backup, whole or not at all. What an interrupted
// restore has left there is removed and not written into: it may be a link, in a folder of
// a user with fewer rights than the user who runs the command.
func decrypt(ctx context.Context, r io.Reader, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := durable.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, readerUntil{ctx, r})
	return errors.Join(err, file.Close())
}

// readerUntil reads until ctx is done.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// openBackup opens the decrypted file of a backup.
func openBackup(path string, s config.Settings) (*bolt.Source, error) {
	if err := bolt.Migrate(path, s.Master, bolt.Options{}); err != nil {
		return nil, err
	}
	return bolt.OpenSource(path, s.Master, bolt.Options{})
}

// reportRestored says what was restored, and what the time between costs.
func reportRestored(out io.Writer, h backup.Header, r transfer.Result, s config.Settings, o restoreOptions) error {
	writeCounts(out, r)
	between := time.Since(h.Taken).Round(time.Second)
	fmt.Fprintf(out, "%d records were restored to %s, read back and compared. Digest: %x\n", r.Records, s.StoreFile(), r.Digest)
	if r.Damaged > 0 {
		fmt.Fprintf(out, "%d damaged records were left out.\n", r.Damaged)
	}
	fmt.Fprintf(out, "\nThe store is as it was at %s, %s ago. What happened since then is lost:\n", h.Taken.UTC().Format(time.RFC3339), between)
	if time.Until(h.Taken) > time.Minute {
		fmt.Fprintf(out, "- This machine's clock is behind that time: put it right before you start the server.\n")
	}
	lines := []string{
		"Attempts, codes and access tokens were not restored. Users who were signing in begin again; applications get new access tokens with their refresh tokens.",
		"A refresh token that was rotated since then is refused (invalid_grant), and its user signs in again at that application.",
		"Sessions that were ended since then, consents and access that users have taken away, are back. After a theft, restore again with --sign-out-all.",
		"Users who were deleted since then are back. Find user.deleted and person.deleted in the audit, and delete them again: calleridp user delete SUB.",
		"Users who signed in for the first time since then have no record, and get another sub.",
		"Clients, their secrets, initial access tokens and API keys are as they were. Find client., initial_token. and api_key. in the audit, rotate again each secret that was rotated, and remove again what was removed.",
		"Signing keys made since then are lost: tokens that they signed do not verify any more. Keys removed since then are back: find keys.removed in the audit; if one was stolen, run calleridp keys rotate --force twice, and remove it.",
		"Locks and budgets are as they were: some numbers may be sent a push again earlier than they would have been.",
		"Assertions of clients (private_key_jwt) that were used since then could be used once more until they expire.",
	}
	if o.signOut {
		lines[1], lines[2] = "No session and no grant was restored: every user signs in again, and every application asks them to.",
			"Consents that users have taken away since then are back."
	}
	for _, line := range lines {
		fmt.Fprintln(out, "- "+line)
	}
	_, err := fmt.Fprintf(out, "\nNow start the server. Never start one with the lost store again, if you find it.\n")
	return err
}
