// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/audit"
	"calleridp/provider/audit/trail"

	"github.com/spf13/cobra"
)

func showCommand() *cobra.Command {
	var from source
	var q audit.Query
	var events []string
	var since, until string
	var output *string
	c := command.New(command.Text{
		Use:   "show",
		Short: "show the newest audit lines that match the filters, the newest last",
		Long: "It marks a line that was changed, or that the server has not written. It does not notice missing lines: " +
			"use calleridp audit verify for that.",
		Example: "calleridp audit show --client shop --since 24h\ncalleridp audit show --event attempt. --sub SUB -o json\ncalleridp audit show --operator \"uid 0\" --limit 1000",
	}, func(ctx context.Context, _ []string, out io.Writer) (err error) {
		if q.Since, err = moment("since", since, time.Now()); err != nil {
			return err
		}
		if q.Until, err = moment("until", until, time.Now()); err != nil {
			return err
		}
		if q.Limit < 1 {
			return command.Usagef("--limit must be at least 1 (got %d)", q.Limit)
		}
		for _, e := range events {
			q.Events = append(q.Events, audit.Name(e))
		}
		o, err := from.open(false)
		if err != nil {
			return err
		}
		lines, err := collect(ctx, trail.NewReader(o.dir, o.master), q)
		if err != nil {
			return err
		}
		if *output == command.JSON {
			return printJSON(out, lines)
		}
		return printTable(out, lines)
	})
	from = addFlags(c)
	c.Flags().StringSliceVar(&events, "event", nil, "only these `events`; a name that ends with a dot matches all that begin with it, like attempt.")
	c.Flags().StringVar(&q.Client, "client", "", "only lines with this `client_id`")
	c.Flags().StringVar(&q.Subject, "sub", "", "only lines about the user with this `sub`")
	c.Flags().StringVar(&q.Operator, "operator", "", "only what this `operator` did, as the lines name them, like \"uid 0\"")
	c.Flags().StringVar(&since, "since", "", "only lines of this `time` or later: 2026-11-30, 2026-11-30T06:20:00Z, or 90m, 24h, 7d ago")
	c.Flags().StringVar(&until, "until", "", "only lines before this `time`")
	c.Flags().IntVar(&q.Limit, "limit", 100, "show at most this `number` of lines")
	output = command.Output(c)
	return c
}

// moment returns the time that a flag names; the zero time if it is not set.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, format := range []string{time.RFC3339, time.DateOnly, "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if at, err := time.Parse(format, text); err == nil {
			return at, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, command.Usagef("--%s: %q is not a time; write 2026-11-30, 2026-11-30T06:20:00Z, or how long ago, like 90m, 24h or 7d", flag, text)
}

// collect returns the newest lines that are wanted, the newest last.
func collect(ctx context.Context, r audit.Reader, q audit.Query) ([]audit.Line, error) {
	var lines []audit.Line
	most := q.Limit
	for {
		q.Limit = min(most-len(lines), 1000)
		page, err := r.Lines(ctx, q)
		if err != nil {
			return nil, err
		}
		lines = append(lines, page.Lines...)
		if len(lines) == most || page.Next == "" {
			slices.Reverse(lines)
			return lines, nil
		}
		q.Cursor = page.Next
	}
}

// printJSON prints one object a line, as in the files. What is not genuine has a member
// that says so.
func printJSON(out io.Writer, lines []audit.Line) error {
	for _, l := range lines {
		text := string(l.Text)
		if !l.Genuine {
			text = `{"genuine":false,` + strings.TrimPrefix(text, "{")
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	return nil
}

// shown are the keys that have a column, or that say nothing to a reader.
var shown = []string{"seq", "time", "server", "event", "level", "prev", "mac"}

func printTable(out io.Writer, lines []audit.Line) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tSERVER\tLINE\tEVENT\tDETAILS")
	for _, l := range lines {
		mark := ""
		if !l.Genuine {
			mark = "NOT GENUINE "
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s%s\n", l.Time.UTC().Format("2006-01-02 15:04:05"), printable(l.Server), l.Seq, printable(string(l.Event)), mark, details(l.Text))
	}
	return t.Flush()
}

// details returns the members of a line that have no column, in their order.
func details(text json.RawMessage) string {
	d := json.NewDecoder(strings.NewReader(string(text)))
	if _, err := d.Token(); err != nil {
		return ""
	}
	var all []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			break
		}
		name, _ := key.(string)
		var plain string
		if slices.Contains(shown, name) || string(value) == `""` {
			continue
		}
		if json.Unmarshal(value, &plain) != nil {
			plain = string(value)
		} else if plain == "" || strings.ContainsAny(plain, " \"=") {
			plain = strconv.Quote(plain)
		}
		all = append(all, printable(name)+"="+printable(plain))
	}
	return strings.Join(all, " ")
}

// printable keeps what a line may have been given from moving the cursor of a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '�'
	}, s)
}
