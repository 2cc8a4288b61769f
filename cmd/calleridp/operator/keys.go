// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"calleridp/cmd/calleridp/command"
	"calleridp/keys"

	"github.com/spf13/cobra"
)

// Keys returns the command `calleridp keys`.
func Keys() *cobra.Command {
	return command.Group(command.Text{Use: "keys", Short: "create the master key; list, rotate or remove the signing keys"},
		keysInitMaster(),
		newCommand(command.Text{
			Use:     "list",
			Short:   "list the signing keys",
			Example: "calleridp keys list",
		}, func(ctx context.Context, r request, _ []string) error {
			return send(ctx, r, http.MethodGet, "/v1/keys", nil, writeKeys)
		}),
		keysRotate(),
		newCommand(command.Text{
			Use:     "remove KEY",
			Short:   "remove a retired signing key early, after a theft; tokens that it signed become invalid",
			Example: "calleridp keys remove 4pQ7rN2b",
		}, func(ctx context.Context, r request, args []string) error {
			err := send(ctx, r, http.MethodDelete, "/v1/keys/"+url.PathEscape(args[0]), nil, writeKeys)
			return advise(err, "use calleridp keys rotate --force")
		}),
	)
}

func keysInitMaster() *cobra.Command {
	var file string
	c := command.New(command.Text{
		Use:     "init-master",
		Short:   "create the master key of a new deployment",
		Example: "calleridp keys init-master --out /etc/calleridp/master.key",
	}, func(_ context.Context, _ []string, out io.Writer) error {
		if file == "" {
			return command.Usagef("missing --out FILE")
		}
		if err := keys.CreateMaster(file); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "Created %s. Keep a copy in another place: without it the store cannot be read.\n", file)
		return err
	})
	c.Flags().StringVar(&file, "out", "", "`file` to create; it must not exist")
	return c
}

func keysRotate() *cobra.Command {
	var force bool
	var alg string
	c := newCommand(command.Text{
		Use:   "rotate",
		Short: "activate the next signing keys and generate successors",
		Example: `calleridp keys rotate
calleridp keys rotate --force --alg RS256`,
	}, func(ctx context.Context, r request, _ []string) error {
		query := url.Values{"force": {strconv.FormatBool(force)}, "alg": {alg}}
		err := send(ctx, r, http.MethodPost, "/v1/keys/rotate?"+query.Encode(), nil, writeKeys)
		return advise(err, "use --force to rotate now")
	})
	c.Flags().BoolVar(&force, "force", false, "rotate even if clients that cache the keys cannot know the next ones yet; they fail until they fetch them again")
	c.Flags().StringVar(&alg, "alg", "", "`algorithm` whose keys to rotate, like RS256; default all")
	return c
}

func writeKeys(out io.Writer, listed []keys.Info) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "KEY\tALGORITHM\tSTATE\tSINCE")
		for _, k := range listed {
			since := k.Created
			switch k.State {
			case keys.Active:
				since = k.Activated
			case keys.Retired:
				since = k.Retired
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.Algorithm, k.State, minute(since))
		}
	})
}
