// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

const backupsPath = "/v1/backups"

// Backup returns the command `calleridp backup`. more are those of its commands that need no
// running server.
func Backup(more ...*cobra.Command) *cobra.Command {
	c := newCommand(command.Text{
		Use:   "backup",
		Short: "back up the store's file while the server runs, and check backups",
		Long: "Without a subcommand it makes a backup now, in backup.dir of the server, encrypted under the master key, and reads it back. " +
			"The oldest backups beyond backup.keep are deleted.",
		Example: "calleridp backup\ncalleridp backup verify",
	}, func(ctx context.Context, r request, _ []string) error {
		return send(ctx, r, http.MethodPost, backupsPath, nil, writeBackup)
	})
	c.AddCommand(newCommand(command.Text{
		Use:     "list",
		Short:   "list the backups in backup.dir of the server",
		Example: "calleridp backup list",
	}, func(ctx context.Context, r request, _ []string) error {
		return send(ctx, r, http.MethodGet, backupsPath, nil, writeBackups)
	}))
	c.AddCommand(more...)
	return c
}

func writeBackup(out io.Writer, b admin.Backup) error {
	_, err := fmt.Fprintf(out, "%s\n%d bytes, encrypted under the master key. Copy it to another machine, and keep the master key in a third place.\n", b.Path, b.Bytes)
	return err
}

func writeBackups(out io.Writer, page admin.Page[admin.Backup]) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "MADE\tBYTES\tFILE")
		for _, b := range page.Items {
			fmt.Fprintf(w, "%s\t%d\t%s\n", minute(b.Taken), b.Bytes, b.Path)
		}
	})
}
