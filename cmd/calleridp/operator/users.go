// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
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

var users = collection[admin.User]{argument: "SUB", path: "/v1/users/"}

// User returns the command `calleridp user`.
func User() *cobra.Command {
	return command.Group(command.Text{Use: "user", Short: "show where a user is signed in, sign them out or delete them"},
		userFind(),
		newCommand(command.Text{
			Use:     "list",
			Short:   "list the users, with their numbers masked",
			Example: "calleridp user list",
		}, func(ctx context.Context, r request, _ []string) error {
			return send(ctx, r, http.MethodGet, "/v1/users", nil, writeUsers)
		}),
		users.command(command.Text{
			Use:     "show",
			Short:   "show where a user is signed in and which applications have access",
			Example: "calleridp user show 5Q3bY9rKcVxW8eTt2LmZ0g",
		}, http.MethodGet, "", writeUser),
		users.command(command.Text{
			Use:     "signout",
			Short:   "revoke all sessions of a user; offline access of applications stays",
			Example: "calleridp user signout 5Q3bY9rKcVxW8eTt2LmZ0g",
		}, http.MethodPost, "/signout", writeSignedOutUser),
		users.command(command.Text{
			Use:     "delete",
			Short:   "delete a user and everything stored about them; this cannot be undone",
			Example: "calleridp user delete 5Q3bY9rKcVxW8eTt2LmZ0g",
		}, http.MethodDelete, "", writeDeletedUser),
	)
}

func userFind() *cobra.Command {
	return newCommand(command.Text{
		Use:     "find NUMBER",
		Short:   "find the user who has a number",
		Example: "calleridp user find '070-174 06 05'",
	}, func(ctx context.Context, r request, args []string) error {
		return send(ctx, r, http.MethodPost, "/v1/users/find", admin.UserWith{Number: args[0]}, writeUser)
	})
}

func writeUsers(out io.Writer, all []admin.UserSummary) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "SUB\tNUMBER\tLAST SIGN-IN")
		for _, u := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\n", u.Sub, u.Number, minute(u.LastSignIn))
		}
	})
}

func writeSignedOutUser(out io.Writer, u admin.User) error {
	sessions := counted(len(u.Sessions), "session", "sessions")
	_, err := fmt.Fprintf(out, "%s (%s) is signed out everywhere; %s revoked\n", u.Sub, u.Number, sessions)
	return err
}

func writeDeletedUser(out io.Writer, u admin.User) error {
	_, err := fmt.Fprintf(out, "%s (%s) is deleted and signed out everywhere\n", u.Sub, u.Number)
	return err
}

func writeUser(out io.Writer, u admin.User) error {
	number := u.Number
	if u.NumberLost {
		number += " (now another user's)"
	}
	return table(out, func(w io.Writer) {
		fmt.Fprintf(w, "sub\t%s\n", u.Sub)
		fmt.Fprintf(w, "number\t%s\n", number)
		fmt.Fprintf(w, "since\t%s\n", minute(u.Created))
		fmt.Fprintf(w, "last sign-in\t%s\n", minute(u.LastSignIn))
		for _, s := range u.Sessions {
			browser := cmp.Or(strings.TrimSpace(s.Browser+" "+s.OS), "unknown browser")
			fmt.Fprintf(w, "session\t%s\t%s, signed in %s, last used %s\n",
				s.SID, browser, minute(s.Created), minute(s.LastUsed))
		}
		for _, a := range u.Applications {
			text := counted(a.Grants, "grant", "grants")
			if a.Offline {
				text += ", with offline access"
			}
			if a.Consent {
				text += ", with consent"
			}
			fmt.Fprintf(w, "application\t%s\t%s\n", a.ClientID, text)
		}
	})
}

// minute formats a time to the minute, in UTC.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
