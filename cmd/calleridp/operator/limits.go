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

// Limit is the command `calleridp limit`.
var Limit = command.Group("limit", map[string]command.Func{
	"show":  limitOf("show", "show the lock and the budget of a number, what a network may have of it, or the budget of a network, a client or the deployment"),
	"clear": limitOf("clear", "release the lock and refill the budget of a number, refill what a network may have of it, or refill that of a network, a client or the deployment"),
})

// limitOf returns a command about the limits of one number, network or client, or
// of the deployment.
func limitOf(name, summary string) command.Func {
	return func(ctx context.Context, args []string, out io.Writer) error {
		f := newRequest("limit "+name, summary, out)
		var of admin.LimitsOf
		f.StringVar(&of.Network, "network", "", "use the network of this IP `address`; with a number, what it may have of that")
		f.StringVar(&of.Client, "client", "", "use this `client_id`, not a number")
		f.BoolVar(&of.Deployment, "deployment", false, "use the whole deployment, not a number")
		arguments, err := f.Arguments(args, "[NUMBER]")
		if err != nil {
			return err
		}
		given := 0
		for _, set := range []bool{len(arguments) > 0 || of.Network != "", of.Client != "", of.Deployment} {
			if set {
				given++
			}
		}
		if given != 1 {
			return command.Usagef("usage: calleridp limit %s NUMBER | [NUMBER] --network ADDRESS | --client CLIENT_ID | --deployment", name)
		}
		if len(arguments) > 0 {
			of.Number = arguments[0]
		}
		return send(ctx, f, http.MethodPost, "/v1/limits/"+name, of, func(out io.Writer, l admin.Limits) error {
			return writeLimits(out, l, of.Number != "" && of.Network == "", time.Now())
		})
	}
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
