package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"calleridp/provider/admin"
)

func userFind(ctx context.Context, args []string, out io.Writer) error {
	f := flags("user find", "finds the person who has a number", out)
	server := operatorFlags(f)
	asJSON := f.Bool("json", false, "write JSON")
	words, err := parse(f, args, "NUMBER")
	if err != nil {
		return err
	}
	var u admin.User
	if err := server.call(ctx, http.MethodPost, "/v1/users/find", admin.UserWith{Number: words[0]}, &u); err != nil {
		return err
	}
	return writeUser(out, u, *asJSON)
}

func userShow(ctx context.Context, args []string, out io.Writer) error {
	return userOne(ctx, "show", "shows where a person is signed in, and which applications have access", http.MethodGet, "", args, out, writeUser)
}

func userSignOut(ctx context.Context, args []string, out io.Writer) error {
	about := "ends all sessions of a person; access for while they are away stays"
	return userOne(ctx, "signout", about, http.MethodPost, "/signout", args, out, func(out io.Writer, u admin.User, asJSON bool) error {
		if asJSON {
			return writeJSON(out, u)
		}
		_, err := fmt.Fprintf(out, "%s (%s) is signed out everywhere; %s\n", u.Sub, u.Number, counted(len(u.Sessions), "session has ended", "sessions have ended"))
		return err
	})
}

func userDelete(ctx context.Context, args []string, out io.Writer) error {
	about := "deletes a person with everything that is stored about them; this cannot be undone"
	return userOne(ctx, "delete", about, http.MethodDelete, "", args, out, func(out io.Writer, u admin.User, asJSON bool) error {
		if asJSON {
			return writeJSON(out, u)
		}
		_, err := fmt.Fprintf(out, "%s (%s) is deleted, and signed out everywhere\n", u.Sub, u.Number)
		return err
	})
}

// userOne is a command about one person.
func userOne(ctx context.Context, name, about, method, path string, args []string, out io.Writer, write func(io.Writer, admin.User, bool) error) error {
	f := flags("user "+name, about, out)
	server := operatorFlags(f)
	asJSON := f.Bool("json", false, "write JSON")
	words, err := parse(f, args, "SUB")
	if err != nil {
		return err
	}
	var u admin.User
	if err := server.call(ctx, method, "/v1/users/"+url.PathEscape(words[0])+path, nil, &u); err != nil {
		return err
	}
	return write(out, u, *asJSON)
}

func writeUser(out io.Writer, u admin.User, asJSON bool) error {
	if asJSON {
		return writeJSON(out, u)
	}
	when := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "sub\t%s\n", u.Sub)
	lost := ""
	if u.NumberLost {
		lost = " (somebody else's by now)"
	}
	fmt.Fprintf(t, "number\t%s%s\n", u.Number, lost)
	fmt.Fprintf(t, "since\t%s\n", when(u.Created))
	fmt.Fprintf(t, "last sign-in\t%s\n", when(u.LastSignIn))
	for _, s := range u.Sessions {
		fmt.Fprintf(t, "session\t%s\t%s, signed in %s, last used %s\n", s.SID, cmp.Or(strings.TrimSpace(s.Browser+" "+s.OS), "unknown browser"), when(s.Created), when(s.LastUsed))
	}
	for _, a := range u.Applications {
		text := counted(a.Grants, "grant", "grants")
		if a.Offline {
			text += ", also while away"
		}
		if a.Consent {
			text += ", with consent"
		}
		fmt.Fprintf(t, "application\t%s\t%s\n", a.ClientID, text)
	}
	return t.Flush()
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
