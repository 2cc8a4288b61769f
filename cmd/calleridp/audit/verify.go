// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/audit/trail"

	"github.com/spf13/cobra"
)

func verifyCommand() *cobra.Command {
	var from source
	var without bool
	var stream string
	var output *string
	c := command.New(command.Text{
		Use:   "verify",
		Short: "find audit lines that are missing or were changed, moved or inserted",
		Long: "It reads all files, names the file and line of each finding, and exits with status 1 if there is one. " +
			"It also finds lines that were cut off at the end, because the store knows how far each chain was, except those of the last seconds before a crash.",
		Example: "calleridp audit verify --config /etc/calleridp/calleridp.yaml\ncalleridp audit verify --dir ./audit --master-key-file master.key\ncalleridp audit verify --file captured.jsonl",
	}, func(ctx context.Context, _ []string, out io.Writer) error {
		o, err := from.open(stream != "")
		if err != nil {
			return err
		}
		without := o.settings == nil || without
		var reports []trail.Report
		if stream != "" {
			reports, err = verifyStream(ctx, o, stream, without)
		} else {
			reports, err = verify(ctx, o, without)
		}
		if err != nil {
			return err
		}
		if *output == command.JSON {
			err = command.PrintJSON(out, reports)
		} else {
			err = printReports(out, reports)
		}
		if err != nil {
			return err
		}
		if len(reports) == 0 && stream != "" {
			return fmt.Errorf("%s has no line of the audit; capture what audit.to: [stdout] or [syslog] writes", stream)
		}
		return conclude(o, reports)
	})
	from = addFlags(c)
	c.Flags().BoolVar(&without, "without-store", false, "do not read from the store how far each chain was")
	c.Flags().StringVar(&stream, "file", "", "verify the lines in this `file` instead, as captured from standard output or syslog; - reads standard input")
	output = command.Output(c)
	return c
}

// verify reads everything, and a second time if something is wrong: a server that runs may
// have removed an old file meanwhile.
func verify(ctx context.Context, o opened, without bool) ([]trail.Report, error) {
	once := func() ([]trail.Report, bool, error) {
		v := trail.Verification{Key: o.master, Dir: o.dir}
		if !without {
			var err error
			if v.Heads, err = o.heads(ctx); err != nil {
				return nil, false, err
			}
			v.Whole, v.Server = o.settings.Postgres == nil, o.settings.Audit.Server
		}
		reports, err := trail.Verify(ctx, v)
		wrong := err != nil
		for _, r := range reports {
			wrong = wrong || len(r.Problems) > 0
		}
		return reports, wrong, err
	}
	reports, wrong, err := once()
	if wrong && !without {
		reports, _, err = once()
	}
	return reports, err
}

// verifyStream reads a captured stream. The store is asked before, so that the stream has
// what the store knows, unless it was captured earlier.
func verifyStream(ctx context.Context, o opened, name string, without bool) ([]trail.Report, error) {
	v := trail.Stream{Key: o.master, Name: name, In: os.Stdin}
	if name == "-" {
		v.Name = "stdin"
	} else {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		v.In = file
	}
	if !without {
		var err error
		if v.Heads, err = o.heads(ctx); err != nil {
			return nil, err
		}
	}
	return trail.VerifyStream(ctx, v)
}

func printReports(out io.Writer, reports []trail.Report) error {
	for _, r := range reports {
		for _, f := range r.Problems {
			if _, err := fmt.Fprintln(out, "WRONG ", f); err != nil {
				return err
			}
		}
		if r.More > 0 {
			fmt.Fprintf(out, "WRONG  and %d more\n", r.More)
		}
		for _, f := range r.Notes {
			fmt.Fprintln(out, "note  ", f)
		}
		if r.Files == 0 {
			fmt.Fprintf(out, "%s: no files here\n", r.Server)
			continue
		}
		if r.Lines == 0 && r.Server == "" { // lines of a stream that are of no server
			continue
		}
		stored := "; the store was not asked"
		if r.Head != nil {
			stored = fmt.Sprintf("; the store has seen line %d", r.Head.Seq)
		}
		_, err := fmt.Fprintf(out, "%s: %d lines in %d files, %d to %d, from %s to %s%s\n", r.Server, r.Lines, r.Files, r.First, r.Last,
			r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339), stored)
		if err != nil {
			return err
		}
	}
	return nil
}

// errWrong is the error of an audit that is not whole.
var errWrong = errors.New("the audit is not whole")

func conclude(o opened, reports []trail.Report) error {
	wrong := 0
	for _, r := range reports {
		wrong += len(r.Problems) + r.More
	}
	switch {
	case wrong > 0:
		return fmt.Errorf("%w: %d findings; keep the files as they are, and see docs/operators/audit.md", errWrong, wrong)
	case len(reports) == 0:
		return fmt.Errorf("there is no audit in %s; name its directory with --dir, or set audit.to to file", o.dir)
	}
	return nil
}
