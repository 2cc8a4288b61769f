// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// Stream returns the command `calleridp stream`.
func Stream() *cobra.Command {
	streams := collection[admin.Stream]{"CLIENT_ID", "/v1/streams/", completeClient}
	says := func(what string) func(out io.Writer, s admin.Stream) error {
		return func(out io.Writer, s admin.Stream) error {
			_, err := fmt.Fprintf(out, "the event stream of client %s %s\n", s.Client, what)
			return err
		}
	}
	return command.Group(command.Text{Use: "stream", Short: "list, show, pause, resume or remove the event streams of applications (Shared Signals Framework)"},
		newCommand(command.Text{
			Use:     "list",
			Short:   "list the event streams: the status of each, what waits for it, and how the last deliveries went",
			Example: "calleridp stream list",
		}, func(ctx context.Context, r request, _ []string) error {
			return send(ctx, r, http.MethodGet, "/v1/streams", nil, writeStreams)
		}),
		streams.command(command.Text{
			Use:     "show",
			Short:   "show the event stream of an application",
			Example: "calleridp stream show shop",
		}, http.MethodGet, "", writeStream),
		streams.command(command.Text{
			Use:     "pause",
			Short:   "hold the events of an application, which is told and cannot end it",
			Example: "calleridp stream pause shop",
		}, http.MethodPost, "/pause", says("is paused; its events are held for 14 days")),
		streams.command(command.Text{
			Use:     "resume",
			Short:   "deliver the events of an application again, with what was held",
			Example: "calleridp stream resume shop",
		}, http.MethodPost, "/resume", says("is enabled; what waits for it is tried now")),
		streams.command(command.Text{
			Use:     "remove",
			Short:   "remove the event stream of an application, with what waits for it",
			Example: "calleridp stream remove shop",
		}, http.MethodDelete, "", says("is removed")),
	)
}

// whenOf writes a time, "-" for none.
func whenOf(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return minute(at)
}

func deliveryOf(s admin.Stream) string {
	if strings.HasSuffix(s.Method, ":8935") {
		return "push"
	}
	return "poll"
}

func writeStreams(out io.Writer, all []admin.Stream) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "CLIENT ID\tDELIVERY\tSTATUS\tSET BY\tWAITING\tOLDEST\tFAILURES\tLAST DELIVERED\tLAST FAILED\tREASON")
		for _, s := range all {
			reason := s.Reason
			if reason == "" {
				reason = s.Failure
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%d\t%s\t%s\t%s\n", s.Client, deliveryOf(s), s.Status, s.By, s.Waiting, whenOf(s.Oldest), s.Failures,
				whenOf(s.Delivered), whenOf(s.Failed), reason)
		}
	})
}

func writeStream(out io.Writer, s admin.Stream) error {
	return table(out, func(w io.Writer) {
		for _, line := range [][2]string{
			{"client_id", s.Client},
			{"stream_id", s.ID},
			{"delivery", deliveryOf(s)},
			{"endpoint_url", s.Endpoint},
			{"events_delivered", strings.Join(s.Events, " ")},
			{"description", s.Description},
			{"status", s.Status},
			{"reason", s.Reason},
			{"set_by", s.By},
			{"created", whenOf(s.Created)},
			{"waiting", fmt.Sprint(s.Waiting)},
			{"oldest", whenOf(s.Oldest)},
			{"failures", fmt.Sprint(s.Failures)},
			{"last delivered", whenOf(s.Delivered)},
			{"last failed", whenOf(s.Failed)},
			{"failure", s.Failure},
		} {
			if line[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
			}
		}
	})
}
