package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"
)

const noticesPath = "/v1/notices/"

// Notice is the command `calleridp notice`.
var Notice = command.Group("notice", map[string]command.Func{
	"list": noticeList,
	"retry": collection[admin.Receiver]{group: "notice", argument: "CLIENT_ID", path: noticesPath}.command("retry",
		"try at once what waits for an application", http.MethodPost, "/retry", func(out io.Writer, r admin.Receiver) error {
			_, err := fmt.Fprintf(out, "what waits for client %s is tried now\n", r.Client)
			return err
		}),
	"drop": collection[admin.Dropped]{group: "notice", argument: "CLIENT_ID", path: noticesPath}.command("drop",
		"delete what waits for an application", http.MethodDelete, "", func(out io.Writer, d admin.Dropped) error {
			_, err := fmt.Fprintf(out, "%s for client %s deleted\n", counted(d.Number, "notice", "notices"), d.Client)
			return err
		}),
})

func noticeList(ctx context.Context, args []string, out io.Writer) error {
	f := newRequest("notice list", "list the applications that are told when a session ends (back-channel logout): what waits for each, and how the last deliveries went", out)
	if _, err := f.Arguments(args); err != nil {
		return err
	}
	return send(ctx, f, http.MethodGet, "/v1/notices", nil, writeNotices)
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
			fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\t%s\t%s\t%s\n", r.Client, r.Waiting, when(r.Oldest), r.Failures,
				when(r.Next), when(r.Delivered), when(r.Failed), r.Reason)
		}
	})
}
