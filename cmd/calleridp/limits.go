package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"calleridp/provider/admin"
)

func limitShow(ctx context.Context, args []string, out io.Writer) error {
	return limitOf(ctx, "show", "shows the lock and the budget of a number, or the budget of a network, a client or all", args, out)
}

func limitClear(ctx context.Context, args []string, out io.Writer) error {
	return limitOf(ctx, "clear", "frees the lock and fills the budget of a number, or fills that of a network, a client or all", args, out)
}

// limitOf is a command about one number, network or client.
func limitOf(ctx context.Context, name, about string, args []string, out io.Writer) error {
	f := flags("limit "+name, about, out)
	server := operatorFlags(f)
	asJSON := f.Bool("json", false, "write JSON")
	var of admin.LimitsOf
	f.StringVar(&of.Network, "network", "", "instead of a number: the IP `address` of a network")
	f.StringVar(&of.Client, "client", "", "instead of a number: a `client_id`")
	f.BoolVar(&of.Deployment, "deployment", false, "instead of a number: all together")
	words, err := parse(f, args, "[NUMBER]")
	if err != nil {
		return err
	}
	given := 0
	for _, said := range []bool{len(words) > 0, of.Network != "", of.Client != "", of.Deployment} {
		if said {
			given++
		}
	}
	if given != 1 {
		return usageError("say one of them: calleridp limit %s NUMBER, or --network ADDRESS, --client CLIENT_ID or --deployment", name)
	}
	if len(words) > 0 {
		of.Number = words[0]
	}
	var got admin.Limits
	if err := server.call(ctx, http.MethodPost, "/v1/limits/"+name, of, &got); err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(out, got)
	}
	return writeLimits(out, got, of.Number != "", time.Now())
}

func writeLimits(out io.Writer, l admin.Limits, isNumber bool, now time.Time) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	when := func(at time.Time, else_ string) string {
		if !at.After(now) {
			return else_
		}
		return fmt.Sprintf("%s (in %s)", at.UTC().Format("2006-01-02 15:04:05 MST"), at.Sub(now).Round(time.Second))
	}
	fmt.Fprintf(t, "of\t%s\n", l.Of)
	if isNumber {
		fmt.Fprintf(t, "locked until\t%s\n", when(l.LockedUntil, "not locked"))
	}
	fmt.Fprintf(t, "used\t%d of %d in %s\n", l.Used, l.Burst, l.Period)
	fmt.Fprintf(t, "left\t%d\n", l.Left)
	fmt.Fprintf(t, "next\t%s\n", when(l.Next, "now"))
	fmt.Fprintf(t, "all back\t%s\n", when(l.Full, "now"))
	return t.Flush()
}
