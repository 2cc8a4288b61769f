// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

const noticesPath = "/v1/notices/"

// Notice returns the command `calleridp notice`.
func Notice() *cobra.Command {
	return command.Group(command.Text{Use: "notice", Short: "list, send again or delete what applications have not heard of logouts"},
		newCommand(command.Text{
			Use:     "list",
			Short:   "list the applications that are told when a session ends (back-channel logout): what waits for each, and how the last deliveries went",
			Example: "calleridp notice list",
		}, func(ctx context.Context, r request, _ []string) error {
			return send(ctx, r, http.MethodGet, "/v1/notices", nil, writeNotices)
		}),
		collection[admin.Receiver]{"CLIENT_ID", noticesPath, completeClient}.command(command.Text{
			Use:     "retry",
			Short:   "try at once what waits for an application",
			Example: "calleridp notice retry shop",
		}, http.MethodPost, "/retry", func(out io.Writer, r admin.Receiver) error {
			_, err := fmt.Fprintf(out, "what waits for client %s is tried now\n", r.Client)
			return err
		}),
		collection[admin.Dropped]{"CLIENT_ID", noticesPath, completeClient}.command(command.Text{
			Use:     "drop",
			Short:   "delete what waits for an application",
			Example: "calleridp notice drop shop",
		}, http.MethodDelete, "", func(out io.Writer, d admin.Dropped) error {
			_, err := fmt.Fprintf(out, "%s for client %s deleted\n", counted(d.Number, "notice", "notices"), d.Client)
			return err
		}),
	)
}

func writeNotices(out io.Writer, all []admin.Receiver) error {
	when := func(at time.Time) string {
		if at.IsZero() {
			return "-"
		}
		return minute(at)
	}
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "CLIENT ID\tWAITING\tOLDEST\tFAILURES\tNEXT TRY\tLAST DELIVERED\tLAST FAILED\tREASON")
		for _, r := range all {
			if r.Waiting == 0 {
				r.Next = time.Time{} // the pause after a failure goes on, but nothing is tried
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\t%s\t%s\t%s\n", r.Client, r.Waiting, when(r.Oldest), r.Failures,
				when(r.Next), when(r.Delivered), when(r.Failed), r.Reason)
		}
	})
}
