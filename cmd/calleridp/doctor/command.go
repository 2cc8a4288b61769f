// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"

	"calleridp/cmd/calleridp/command"

	"github.com/spf13/cobra"
)

// errFailed is the error of a run in which a check has failed. The output says the rest.
var errFailed = errors.New("some checks failed; see FAILED above")

// Command returns the command `calleridp doctor`. admin returns how to ask the server with
// this admin socket.
func Command(admin func(socket string) Admin) *cobra.Command {
	var o Options
	var file, output *string
	c := command.New(command.Text{
		Use:   "doctor",
		Short: "diagnose a deployment and suggest fixes",
		Long: `It checks the configuration, files and disk, the issuer's name and certificate, how
requests reach the server through proxies, the clock, the keys, and Truecaller. Run it as
the server's user, on the server's machine, before and after the first start. It changes
nothing. The exit status is 1 if a check has failed.`,
		Example: `calleridp doctor --config /etc/calleridp/calleridp.yaml
calleridp doctor --config /etc/calleridp/calleridp.yaml --client shop
calleridp doctor --config /etc/calleridp/calleridp.yaml --output json`,
	}, func(ctx context.Context, _ []string, out io.Writer) error {
		o.File = *file
		results := Run(ctx, o, admin)
		if err := write(out, results, *output == command.JSON); err != nil {
			return err
		}
		if isFailed(results) {
			return errFailed
		}
		return nil
	})
	c.Flags().StringVar(&o.Client, "client", "", "also check the settings of the client with this `id`")
	c.Flags().BoolVar(&o.TryAppKey, "try-app-key", false, "check with Truecaller that the appKey is accepted, by a push to an unassigned number")
	file = command.Config(c)
	output = command.Output(c)
	return c
}

// write writes the results, one a line, with what to do below.
func write(out io.Writer, results []Result, asJSON bool) error {
	if asJSON {
		return command.PrintJSON(out, results)
	}
	for _, r := range results {
		if _, err := fmt.Fprintf(out, "%-11s  %s: %s\n", r.Status, r.Check, r.Found); err != nil {
			return err
		}
		if r.Fix != "" {
			if _, err := fmt.Fprintf(out, "%-11s  %s\n", "", "-> "+r.Fix); err != nil {
				return err
			}
		}
	}
	return nil
}
