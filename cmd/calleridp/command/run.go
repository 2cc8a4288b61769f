// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Root returns the program as a command: all others are its members, in sections. It adds
// those of its own, about shells and manuals, to the last.
func Root(name, short, version string, sections ...Section) *cobra.Command {
	c := &cobra.Command{
		Use:                   name,
		Short:                 short,
		Long:                  short + "\n\n" + conventions,
		Version:               version,
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableAutoGenTag:     true,
		DisableFlagsInUseLine: true,
		CompletionOptions:     cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:                  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return unknown(c, args[0])
		},
	}
	addHelpFlag(c)
	c.Flags().BoolP("version", "v", false, "print the version")
	c.SetVersionTemplate(name + " {{.Version}}\n")
	c.SetFlagErrorFunc(flagError)
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { writeHelp(c.OutOrStdout(), c) })
	last := &sections[len(sections)-1]
	last.Commands = append(last.Commands, completionCommand(c), manCommand(c))
	for i, s := range sections {
		id := fmt.Sprint(i)
		c.AddGroup(&cobra.Group{ID: id, Title: s.Title})
		for _, member := range s.Commands {
			member.GroupID = id
			c.AddCommand(member)
		}
	}
	c.SetHelpCommand(helpCommand(c))
	return c
}

// conventions is what all commands have in common, for the manual page of the program.
const conventions = `The exit status is 0 for success, 1 for a failure and 2 for a wrong command line.

CALLERIDP_CONFIG names the configuration file, as --config does, and CALLERIDP_ADMIN_SOCKET the admin socket of the running server, as --socket does.`

// Section is a part of the list of commands in the help.
type Section struct {
	Title    string
	Commands []*cobra.Command
}

// Run runs a command line and returns the exit status: 0 for success, 1 for failure,
// 2 for wrong usage. An error is written to errOut, after the command that had it.
func Run(ctx context.Context, root *cobra.Command, args []string, out, errOut io.Writer) int {
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		unquoteUsages(root)
	}
	root.SetArgs(append([]string{}, args...)) // nil would be those of the process
	root.SetOut(out)
	root.SetErr(errOut)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	at := strings.Fields(c.CommandPath())
	fmt.Fprintf(errOut, "%s: %v\n", strings.Join(at[:min(len(at), 2)], " "), err)
	if _, ok := errors.AsType[*UsageError](err); ok {
		return 2
	}
	return 1
}
