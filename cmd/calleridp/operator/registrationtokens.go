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

var registrationTokens = collection[admin.RegistrationToken]{group: "registration-token", argument: "ID", path: "/v1/registration-tokens/"}

// RegistrationToken is the command `calleridp registration-token`.
var RegistrationToken = command.Group("registration-token", map[string]command.Func{
	"add":  registrationTokenAdd,
	"list": registrationTokenList,
	"remove": registrationTokens.command("remove", "remove a token; clients that were registered with it stay",
		http.MethodDelete, "", writeRemovedToken),
})

func registrationTokenAdd(ctx context.Context, args []string, out io.Writer) error {
	f := newRequest("registration-token add", "make a token with which clients register themselves; it is shown once", out)
	var in admin.NewRegistrationToken
	var life time.Duration
	f.StringVar(&in.Note, "note", "", "for `whom` it is, for the list")
	f.IntVar(&in.Uses, "uses", 1, "`number` of clients that it registers")
	f.DurationVar(&life, "expires-in", 24*time.Hour, "`time` for which it is valid")
	if _, err := f.Arguments(args); err != nil {
		return err
	}
	in.ExpiresIn = int64(life / time.Second)
	return send(ctx, f, http.MethodPost, "/v1/registration-tokens", in, writeNewToken)
}

func registrationTokenList(ctx context.Context, args []string, out io.Writer) error {
	f := newRequest("registration-token list", "list the tokens with which clients register themselves", out)
	if _, err := f.Arguments(args); err != nil {
		return err
	}
	return send(ctx, f, http.MethodGet, "/v1/registration-tokens", nil, writeTokens)
}

func writeTokens(out io.Writer, all []admin.RegistrationToken) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tNOTE\tUSES LEFT\tEXPIRES")
		for _, t := range all {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", t.ID, t.Note, t.Uses, t.Expires.UTC().Format(time.RFC3339))
		}
	})
}

func writeNewToken(out io.Writer, t admin.RegistrationToken) error {
	if err := writeTokens(out, []admin.RegistrationToken{t}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\ntoken: %s\n\nThe token is shown only this once.\n", t.Token)
	return err
}

func writeRemovedToken(out io.Writer, t admin.RegistrationToken) error {
	_, err := fmt.Fprintf(out, "registration token %s is removed; clients that were registered with it stay\n", t.ID)
	return err
}
