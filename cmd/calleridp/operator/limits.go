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

// Limit returns the command `calleridp limit`.
func Limit() *cobra.Command {
	return command.Group(command.Text{Use: "limit", Short: "show or clear rate limits of a number, a network, a client or the deployment"},
		limitOf("show", "show the lock and the budget of a number, what a network may have of it, or the budget of a network, a client or the deployment"),
		limitOf("clear", "release the lock and refill the budget of a number, refill what a network may have of it, or refill that of a network, a client or the deployment"),
	)
}

// limitOf returns a command about the limits of one number, network or client, or
// of the deployment.
func limitOf(name, summary string) *cobra.Command {
	var of admin.LimitsOf
	c := newCommand(command.Text{
		Use:   name + " [NUMBER]",
		Short: summary,
		Example: strings.ReplaceAll(`calleridp limit NAME '070-174 06 05'
calleridp limit NAME --network 198.51.100.7
calleridp limit NAME --client shop
calleridp limit NAME --deployment`, "NAME", name),
	}, func(ctx context.Context, r request, args []string) error {
		given := 0
		for _, set := range []bool{len(args) > 0 || of.Network != "", of.Client != "", of.Deployment} {
			if set {
				given++
			}
		}
		if given != 1 {
			return command.Usagef("usage: calleridp limit %s NUMBER | [NUMBER] --network ADDRESS | --client CLIENT_ID | --deployment", name)
		}
		if len(args) > 0 {
			of.Number = args[0]
		}
		return send(ctx, r, http.MethodPost, "/v1/limits/"+name, of, func(out io.Writer, l admin.Limits) error {
			return writeLimits(out, l, of.Number != "" && of.Network == "", time.Now())
		})
	})
	f := c.Flags()
	f.StringVar(&of.Network, "network", "", "use the network of this IP `address`; with a number, what it may have of that")
	f.StringVar(&of.Client, "client", "", "use this `client_id`, not a number")
	f.BoolVar(&of.Deployment, "deployment", false, "use the whole deployment, not a number")
	command.Complete(c, "client", completeClientFlag)
	return c
}

func writeLimits(out io.Writer, l admin.Limits, isNumber bool, now time.Time) error {
	// when formats a time to come; one that has passed is called past.
	when := func(at time.Time, past string) string {
		if !at.After(now) {
			return past
		}
		return fmt.Sprintf("%s (in %s)", at.UTC().Format("2006-01-02 15:04:05 MST"), at.Sub(now).Round(time.Second))
	}
	return table(out, func(w io.Writer) {
		fmt.Fprintf(w, "of\t%s\n", l.Of)
		if isNumber {
			fmt.Fprintf(w, "locked until\t%s\n", when(l.LockedUntil, "not locked"))
			fmt.Fprintf(w, "cools until\t%s\n", when(l.CoolUntil, "not cooling down"))
		}
		fmt.Fprintf(w, "used\t%d of %d in %s\n", l.Used, l.Burst, l.Period)
		fmt.Fprintf(w, "left\t%d\n", l.Left)
		fmt.Fprintf(w, "next\t%s\n", when(l.Next, "now"))
		fmt.Fprintf(w, "all back\t%s\n", when(l.Full, "now"))
	})
}
