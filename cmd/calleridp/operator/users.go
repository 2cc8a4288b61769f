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
)

var users = collection[admin.User]{group: "user", argument: "SUB", path: "/v1/users/"}

// User is the command `calleridp user`.
var User = command.Group("user", map[string]command.Func{
	"find": userFind,
	"show": users.command("show",
		"show where a user is signed in and which applications have access",
		http.MethodGet, "", writeUser),
	"signout": users.command("signout",
		"revoke all sessions of a user; offline access of applications stays",
		http.MethodPost, "/signout", writeSignedOutUser),
	"delete": users.command("delete",
		"delete a user and everything stored about them; this cannot be undone",
		http.MethodDelete, "", writeDeletedUser),
})

func userFind(ctx context.Context, args []string, out io.Writer) error {
	f := newRequest("user find", "find the user who has a number", out)
	arguments, err := f.Arguments(args, "NUMBER")
	if err != nil {
		return err
	}
	return send(ctx, f, http.MethodPost, "/v1/users/find", admin.UserWith{Number: arguments[0]}, writeUser)
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
