// SPDX-License-Identifier: Apache-2.0

// Package command makes the tree of subcommands, in one style: help with an example, a
// usage error in one line with the way out, exit status 0, 1 or 2. Under it is cobra,
// which parses, completes and writes manual pages.
//
//	command.go  commands, groups of commands, their arguments
//	run.go      runs a command line
//	errors.go   what a user is told about a wrong one
//	nearest.go  the word that was probably meant
//	help.go     the help, of one command and of all
//	flags.go    flags that several commands have
//	shell.go    the commands completion and man
package command

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Func runs a command with its arguments. It writes results to out; its error is the
// one line that the user sees.
type Func func(ctx context.Context, args []string, out io.Writer) error

// Text is what help, completion and the manual pages say about a command.
type Text struct {
	// Use is the command's last word and the names of its arguments, as in
	// "show CLIENT_ID". An argument in brackets is optional; one that ends in ... may be
	// repeated, and is the last.
	Use string
	// Short says in the imperative what the command does, in one line.
	Short string
	// Long follows Short in the help. It may be empty.
	Long string
	// Example has whole command lines, one a line.
	Example string
}

// New returns a command that run runs. The caller adds flags to it, with whose values
// run begins.
func New(t Text, run Func) *cobra.Command {
	c := &cobra.Command{
		Use:                   t.Use,
		Short:                 t.Short,
		Example:               indented(t.Example),
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		ValidArgsFunction:     cobra.NoFileCompletions,
		SuggestFor:            meant[firstWord(t.Use)],
	}
	if t.Long != "" {
		c.Long = sentence(t.Short) + "\n\n" + t.Long
	}
	names := strings.Fields(t.Use)[1:]
	c.Args = func(c *cobra.Command, args []string) error { return checkArguments(c, names, args) }
	c.RunE = func(c *cobra.Command, args []string) error { return run(c.Context(), args, c.OutOrStdout()) }
	addHelpFlag(c)
	return c
}

// meant lists the other words for what a command does.
var meant = map[string][]string{
	"add":    {"create", "new", "register"},
	"delete": {"erase", "remove", "rm"},
	"list":   {"ls"},
	"remove": {"delete", "rm"},
	"show":   {"get", "view"},
	"find":   {"search"},
}

// Group returns a command whose next word selects one of its members.
func Group(t Text, members ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:                   t.Use,
		Short:                 t.Short,
		Long:                  t.Long,
		Example:               indented(t.Example),
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		Args:                  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return Usagef("%s", groupUsage(c))
			}
			return unknown(c, args[0])
		},
	}
	c.AddCommand(members...)
	addHelpFlag(c)
	return c
}

// checkArguments reports the first argument that is missing or too many.
func checkArguments(c *cobra.Command, names, args []string) error {
	for i, name := range names {
		if strings.HasSuffix(name, "...") {
			return nil
		}
		if i >= len(args) {
			if strings.HasPrefix(name, "[") {
				return nil
			}
			return Usagef("missing %s; usage: %s", name, c.UseLine())
		}
	}
	if len(args) > len(names) {
		return Usagef("unexpected argument %q; usage: %s", args[len(names)], c.UseLine())
	}
	return nil
}

func addHelpFlag(c *cobra.Command) {
	c.Flags().BoolP("help", "h", false, "print this help")
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// indented indents the lines of an example, as cobra prints them.
func indented(example string) string {
	if example = strings.Trim(example, "\n"); example == "" {
		return ""
	}
	return "  " + strings.ReplaceAll(example, "\n", "\n  ")
}

// sentence makes a sentence of a summary.
func sentence(summary string) string {
	return strings.ToUpper(summary[:1]) + summary[1:] + "."
}
