// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// Status returns the command `calleridp status`.
func Status() *cobra.Command {
	return newCommand(command.Text{
		Use:     "status",
		Short:   "show how the running server is: its store, keys and certificate, Truecaller's hosts and callbacks, and what waits",
		Long:    "Of several servers it asks the one of this machine.",
		Example: "calleridp status\ncalleridp status -o json",
	}, func(ctx context.Context, r request, _ []string) error {
		return send(ctx, r, http.MethodGet, "/v1/status", nil, writeStatus)
	})
}

func writeStatus(out io.Writer, s admin.Status) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintf(w, "version\t%s\n", s.Version)
		fmt.Fprintf(w, "store\t%s\n", s.Store)
		fmt.Fprintf(w, "callbacks in the inbox\t%d\n", s.Inbox)
		fmt.Fprintf(w, "logout notices and events\t%d waiting\n", s.Notices)
		for _, b := range s.Breakers {
			fmt.Fprintf(w, "truecaller, %s\t%s\t%s\n", b.Purpose, b.State, b.Host)
		}
		if len(s.Breakers) == 0 {
			fmt.Fprintln(w, "truecaller\tnot asked since the start")
		}
		last := "none since the start"
		if !s.LastCallback.IsZero() {
			last = minute(s.LastCallback)
		}
		fmt.Fprintf(w, "last callback\t%s\n", last)
		fmt.Fprintf(w, "certificate\t%s\n", certificate(s.Certificate))
		for _, k := range s.Keys {
			fmt.Fprintf(w, "signing key\t%s\t%s\t%s\n", k.State, k.Algorithm, k.ID)
		}
	})
}

// certificate says where the certificate comes from, and when it ends.
func certificate(c admin.Certificate) string {
	switch {
	case c.Source == "none":
		return "none: a proxy in front speaks TLS"
	case c.Ends.IsZero():
		return "none yet, from " + c.Source
	}
	return "until " + minute(c.Ends) + ", from " + c.Source
}

// ShowConfig returns the command `calleridp config show`.
func ShowConfig() *cobra.Command {
	return newCommand(command.Text{
		Use:   "show",
		Short: "show the configuration that the running server uses, defaults included",
		Long: "The table is YAML, with the keys of the file. A secret is only said to be set, and a phone number is masked. " +
			"After a reload (SIGHUP) it is what the server has taken over; what needs a restart shows as before.",
		Example: "calleridp config show\ncalleridp config show -o json",
	}, func(ctx context.Context, r request, _ []string) error {
		return send(ctx, r, http.MethodGet, "/v1/config", nil, func(out io.Writer, shown *json.RawMessage) error {
			return config.PrintEffective(out, *shown)
		})
	})
}
