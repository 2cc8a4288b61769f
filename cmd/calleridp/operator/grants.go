// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// Grant returns the command `calleridp grant`.
func Grant() *cobra.Command {
	return command.Group(command.Text{Use: "grant", Short: "show and revoke what applications may do for users"},
		grantList(),
		collection[admin.Grant]{argument: "ID", path: "/v1/grants/"}.command(command.Text{
			Use:     "revoke",
			Short:   "revoke a grant and its tokens; the user's consent stays",
			Example: "calleridp grant revoke 5Q3bY9rKcVxW8eTt2LmZ0g",
		}, http.MethodDelete, "", func(out io.Writer, g admin.Grant) error {
			_, err := fmt.Fprintf(out, "grant %s of client %s is revoked\n", g.ID, g.ClientID)
			return err
		}),
		grantRemove(),
	)
}

func grantRemove() *cobra.Command {
	var client, sub string
	c := newCommand(command.Text{
		Use:     "remove",
		Short:   "take an application's access to a user away: the user's consent, all grants and their tokens",
		Example: "calleridp grant remove --client shop --sub 5Q3bY9rKcVxW8eTt2LmZ0g",
	}, func(ctx context.Context, r request, _ []string) error {
		if client == "" || sub == "" {
			return command.Usagef("missing --client CLIENT_ID or --sub SUB; calleridp user show names the applications of a user, and grant revoke ends one grant alone")
		}
		path := users.path + url.PathEscape(sub) + "/applications/" + url.PathEscape(client)
		return send(ctx, r, http.MethodDelete, path, nil, func(out io.Writer, a admin.UserApplication) error {
			text := counted(a.Grants, "grant", "grants") + " revoked"
			if a.Consent {
				text += ", consent withdrawn"
			}
			_, err := fmt.Fprintf(out, "client %s has no access to user %s any more; %s\n", a.ClientID, sub, text)
			return err
		})
	})
	c.Flags().StringVar(&client, "client", "", "the application's `client_id`")
	c.Flags().StringVar(&sub, "sub", "", "the user's `sub`")
	command.Complete(c, "client", completeClientFlag)
	return c
}

func grantList() *cobra.Command {
	var client, sub string
	c := newCommand(command.Text{
		Use:     "list",
		Short:   "list the grants of an application or of a user",
		Example: "calleridp grant list --client shop",
	}, func(ctx context.Context, r request, _ []string) error {
		query := url.Values{}
		for name, value := range map[string]string{"client_id": client, "sub": sub} {
			if value != "" {
				query.Set(name, value)
			}
		}
		return send(ctx, r, http.MethodGet, "/v1/grants?"+query.Encode(), nil, writeGrants)
	})
	c.Flags().StringVar(&client, "client", "", "only those of this `client_id`")
	c.Flags().StringVar(&sub, "sub", "", "only those of the user with this `sub`")
	command.Complete(c, "client", completeClientFlag)
	return c
}

func writeGrants(out io.Writer, all []admin.Grant) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tCLIENT ID\tSUB\tCREATED\tOFFLINE\tSCOPE")
		for _, g := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%t\t%s\n", g.ID, g.ClientID, g.Sub, minute(g.Created), g.Offline, g.Scope)
		}
	})
}
