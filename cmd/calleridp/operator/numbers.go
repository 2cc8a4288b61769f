// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// Number returns the command `calleridp number`.
func Number() *cobra.Command {
	return command.Group(command.Text{Use: "number", Short: "say that phone numbers were recycled"}, numberRecycled())
}

func numberRecycled() *cobra.Command {
	var since, file string
	c := newCommand(command.Text{
		Use:   "recycled [NUMBER]",
		Short: "have the user of a number lose it, because the telephone network has given it to another person; applications with an event stream are told",
		Example: `calleridp number recycled '070-174 06 05' --since 2026-11-01
calleridp number recycled --file revoked.csv`,
	}, func(ctx context.Context, r request, args []string) error {
		switch {
		case file != "" && (len(args) > 0 || since != ""), file == "" && (len(args) != 1 || since == ""):
			return command.Usagef("usage: calleridp number recycled NUMBER --since DATE | --file FILE")
		case file == "":
			return send(ctx, r, http.MethodPost, "/v1/numbers/recycle", recycling(args[0], since), writeRecycled)
		}
		return recycleFile(ctx, r, file)
	})
	f := c.Flags()
	f.StringVar(&since, "since", "", "`date` (UTC), like 2026-11-01, on which another person got it; a later verification stands")
	f.StringVar(&file, "file", "", "`file` with a line NUMBER,DATE for each; # begins a comment")
	return c
}

func recycling(number, since string) map[string]string {
	return map[string]string{"number": number, "since": since}
}

func writeRecycled(out io.Writer, lost admin.Recycled) error {
	_, err := fmt.Fprintf(out, "%s (%s) has lost the number and is signed out everywhere\n", lost.Sub, lost.Number)
	return err
}

// recycleFile does so for each line of a file. Numbers that no user has, and those that were
// verified since, are counted; the first other error ends it. A file may be used again.
func recycleFile(ctx context.Context, r request, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lost, unknown, verified := 0, 0, 0
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		number, since, found := strings.Cut(line, ",")
		if !found {
			return fmt.Errorf("%s: line %d is not NUMBER,DATE", path, n)
		}
		var out admin.Recycled
		err := r.call(ctx, http.MethodPost, "/v1/numbers/recycle", recycling(strings.TrimSpace(number), strings.TrimSpace(since)), &out)
		refused, is := errors.AsType[*refusedError](err)
		switch {
		case err == nil:
			lost++
		case is && refused.status == http.StatusNotFound:
			unknown++
		case is && refused.status == http.StatusConflict:
			verified++
		default:
			return fmt.Errorf("%s: line %d: %w", path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	_, err = fmt.Fprintf(r.out, "%s lost the number; of %s no user has it; %s verified since\n",
		counted(lost, "user", "users"), counted(unknown, "number", "numbers"), counted(verified, "number was", "numbers were"))
	return err
}
