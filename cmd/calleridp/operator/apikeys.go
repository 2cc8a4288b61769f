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

// APIKey returns the command `calleridp api-key`.
func APIKey() *cobra.Command {
	return command.Group(command.Text{Use: "api-key", Short: "manage the keys with which the admin API is used over the network"},
		apiKeyAdd(),
		newCommand(command.Text{
			Use:     "list",
			Short:   "list the API keys that have not expired",
			Example: "calleridp api-key list",
		}, func(ctx context.Context, r request, _ []string) error {
			return send(ctx, r, http.MethodGet, "/v1/api-keys", nil, writeAPIKeys)
		}),
		collection[admin.APIKey]{argument: "ID", path: "/v1/api-keys/"}.command(command.Text{
			Use:     "remove",
			Short:   "remove an API key; no server accepts it from then on",
			Example: "calleridp api-key remove k7Jw2mQxA3s",
		}, http.MethodDelete, "", func(out io.Writer, k admin.APIKey) error {
			_, err := fmt.Fprintf(out, "API key %s (%s) is removed\n", k.ID, k.Name)
			return err
		}),
	)
}

func apiKeyAdd() *cobra.Command {
	var name string
	var scopes []string
	var life time.Duration
	c := newCommand(command.Text{
		Use:     "add",
		Short:   "make an API key; it is shown once",
		Example: "calleridp api-key add --name deploy --scope clients:read --scope clients:write --expires-in 720h",
	}, func(ctx context.Context, r request, _ []string) error {
		if name == "" || len(scopes) == 0 {
			return command.Usagef("missing --name NAME or --scope SCOPE, such as clients:read; *:read is all that only read")
		}
		body := map[string]any{"name": name, "scopes": scopes, "expires_in": int64(life / time.Second)}
		return send(ctx, r, http.MethodPost, "/v1/api-keys", body, writeNewAPIKey)
	})
	f := c.Flags()
	f.StringVar(&name, "name", "", "`name` of the program or operator that uses it, for the list and the audit")
	f.StringArrayVar(&scopes, "scope", nil, "`scope` of the key, such as clients:read, *:read (every scope that only reads) or *; may be repeated")
	f.DurationVar(&life, "expires-in", 90*24*time.Hour, "`time` for which it is valid, at most 8784h")
	return c
}

func writeAPIKeys(out io.Writer, all []admin.APIKey) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tNAME\tEXPIRES\tLAST USED\tSCOPES")
		for _, k := range all {
			used := "-"
			if !k.LastUsed.IsZero() {
				used = minute(k.LastUsed)
			}
			scopes := make([]string, len(k.Scopes))
			for i, s := range k.Scopes {
				scopes[i] = string(s)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, minute(k.Expires), used, strings.Join(scopes, " "))
		}
	})
}

func writeNewAPIKey(out io.Writer, k admin.APIKey) error {
	if err := writeAPIKeys(out, []admin.APIKey{k}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nkey: %s\n\nThe key is shown only this once.\n", k.Key)
	return err
}
