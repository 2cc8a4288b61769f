// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the width, in columns, in which flags are explained.
const helpWidth = 100

// writeHelp writes the help of a command.
func writeHelp(out io.Writer, c *cobra.Command) {
	if !c.HasParent() {
		writeCommands(out, c)
		return
	}
	text := c.Short
	if c.Long != "" {
		text = c.Long
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "%s\n\n%s\n\nCommands:\n", text, groupUsage(c))
		writeMembers(out, c.Commands())
		fmt.Fprintf(out, "\nRun one of them with -h to list its flags.\n")
		if runsAlone(c) {
			writeUse(out, c)
		}
		return
	}
	if c.Long != "" {
		fmt.Fprintf(out, "%s\n\n%s\n", c.UseLine(), text)
	} else {
		fmt.Fprintf(out, "%s: %s\n", c.UseLine(), text)
	}
	writeUse(out, c)
}

// writeUse writes how a command is run: its example and its flags.
func writeUse(out io.Writer, c *cobra.Command) {
	if c.HasExample() {
		fmt.Fprintf(out, "\nExample:\n\n%s\n", c.Example)
	}
	of := ""
	if c.HasAvailableSubCommands() {
		of = " of " + c.CommandPath() + " alone"
	}
	fmt.Fprintf(out, "\nFlags%s:\n\n%s", of, c.LocalFlags().FlagUsagesWrapped(helpWidth))
}

// runsAlone reports whether a command with members does something without one of them: then it
// has flags of its own, and a group has not.
func runsAlone(c *cobra.Command) bool {
	runs := false
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { runs = runs || f.Name != "help" })
	return runs
}

// writeCommands writes the help of the program: all commands, in their sections.
func writeCommands(out io.Writer, root *cobra.Command) {
	fmt.Fprintf(out, "%s\n", root.Short)
	for _, section := range root.Groups() {
		fmt.Fprintf(out, "\n%s:\n", section.Title)
		var members []*cobra.Command
		for _, c := range root.Commands() {
			if c.GroupID == section.ID {
				members = append(members, c)
			}
		}
		writeMembers(out, members)
	}
	fmt.Fprintf(out, "\nRun a command with -h to list its flags, with an example.\n")
}

// writeMembers lists commands, each with its members and what it does.
func writeMembers(out io.Writer, members []*cobra.Command) {
	const column = 34 // where the explanations begin
	for _, c := range members {
		if !c.IsAvailableCommand() {
			continue
		}
		line := c.UseLine()
		if c.HasAvailableSubCommands() {
			line = strings.TrimPrefix(groupUsage(c), "usage: ")
		}
		if len(line) > column-2 {
			line += "\n" + strings.Repeat(" ", column+2)
		}
		fmt.Fprintf(out, "  %-*s%s\n", column, line, c.Short)
	}
}

// helpCommand returns the command help, which takes the words of a command.
func helpCommand(root *cobra.Command) *cobra.Command {
	c := New(Text{
		Use:     "help [COMMAND]...",
		Short:   "show help for a command",
		Example: root.Name() + " help client add",
	}, func(_ context.Context, args []string, out io.Writer) error {
		of, rest, err := root.Find(args)
		if err != nil {
			return err
		}
		switch {
		case len(rest) == 0:
		case of.HasSubCommands():
			return unknown(of, rest[0])
		default:
			return Usagef("unexpected argument %q; %s has no commands", rest[0], of.CommandPath())
		}
		writeHelp(out, of)
		return nil
	})
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var names []cobra.Completion
		if of, rest, err := root.Find(args); err == nil && len(rest) == 0 {
			for _, member := range of.Commands() {
				if member.IsAvailableCommand() && strings.HasPrefix(member.Name(), begun) {
					names = append(names, cobra.CompletionWithDesc(member.Name(), member.Short))
				}
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return c
}
