// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// completionCommand returns the command that prints a shell's completion.
func completionCommand(root *cobra.Command) *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	c := New(Text{
		Use:   "completion SHELL",
		Short: "print the completion of commands, flags and client ids for bash, zsh or fish",
		Example: `calleridp completion bash > /etc/bash_completion.d/calleridp
calleridp completion zsh > /usr/local/share/zsh/site-functions/_calleridp
calleridp completion fish > /etc/fish/completions/calleridp.fish`,
	}, func(_ context.Context, args []string, out io.Writer) error {
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(out, true)
		case "zsh":
			return root.GenZshCompletion(out)
		case "fish":
			return root.GenFishCompletion(out, true)
		}
		return Usagef("unknown shell %q; use bash, zsh or fish", args[0])
	})
	c.ValidArgsFunction = cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp)
	return c
}

// manCommand returns the command with which a release makes its manual pages. It is not
// in the help: who has the program has the help already.
func manCommand(root *cobra.Command) *cobra.Command {
	var dir string
	c := New(Text{
		Use:     "man",
		Short:   "write the manual pages",
		Example: "calleridp man --dir /usr/local/share/man/man1",
	}, func(_ context.Context, _ []string, out io.Writer) error {
		if dir == "" {
			return Usagef("missing --dir DIRECTORY")
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("--dir: %w", err)
		}
		header := &doc.GenManHeader{Source: root.Name() + " " + firstWord(root.Version), Manual: "CallerIdP"}
		return doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{Header: header, Path: dir, CommandSeparator: "-"})
	})
	c.Flags().StringVar(&dir, "dir", "", "`directory` to write them to; SOURCE_DATE_EPOCH is their date, default today")
	must(c.MarkFlagDirname("dir"))
	c.Hidden = true
	return c
}

// unquoteUsages takes the marks around the names of values out of what is said of flags,
// which help and manual pages read and a shell would show.
func unquoteUsages(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") })
	for _, member := range c.Commands() {
		unquoteUsages(member)
	}
}
