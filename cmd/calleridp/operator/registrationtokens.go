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

var registrationTokens = collection[admin.RegistrationToken]{argument: "ID", path: "/v1/registration-tokens/"}

// RegistrationToken returns the command `calleridp registration-token`.
func RegistrationToken() *cobra.Command {
	return command.Group(command.Text{Use: "registration-token", Short: "manage the tokens with which applications register themselves"},
		registrationTokenAdd(),
		newCommand(command.Text{
			Use:     "list",
			Short:   "list the tokens with which clients register themselves",
			Example: "calleridp registration-token list",
		}, func(ctx context.Context, r request, _ []string) error {
			return send(ctx, r, http.MethodGet, "/v1/registration-tokens", nil, writeTokens)
		}),
		registrationTokens.command(command.Text{
			Use:     "remove",
			Short:   "remove a token; clients that were registered with it stay",
			Example: "calleridp registration-token remove Wm3nP0aQ",
		}, http.MethodDelete, "", writeRemovedToken),
	)
}

func registrationTokenAdd() *cobra.Command {
	var in admin.NewRegistrationToken
	var life time.Duration
	c := newCommand(command.Text{
		Use:     "add",
		Short:   "make a token with which clients register themselves; it is shown once",
		Example: "calleridp registration-token add --note 'a partner' --uses 2 --expires-in 72h",
	}, func(ctx context.Context, r request, _ []string) error {
		in.ExpiresIn = int64(life / time.Second)
		return send(ctx, r, http.MethodPost, "/v1/registration-tokens", in, writeNewToken)
	})
	f := c.Flags()
	f.StringVar(&in.Note, "note", "", "`note` for the list, such as who gets the token")
	f.IntVar(&in.Uses, "uses", 1, "`number` of clients that it registers")
	f.DurationVar(&life, "expires-in", 24*time.Hour, "`time` for which it is valid")
	return c
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
