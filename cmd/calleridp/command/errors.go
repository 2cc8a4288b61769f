// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// UsageError is a wrong command line: exit status 2.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

// Usagef formats a *UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// unknown is the error about a word that is no command of c.
func unknown(c *cobra.Command, word string) error {
	_, path, _ := strings.Cut(c.CommandPath()+" "+word, " ")
	text := fmt.Sprintf("unknown command %q", path)
	if near := probably(c, word); near != "" {
		text += fmt.Sprintf("; did you mean %s?", near)
	}
	if !c.HasParent() {
		return Usagef("%s; run %s help to list the commands", text, c.Name())
	}
	return Usagef("%s; %s", text, groupUsage(c))
}

// probably returns the member of c that a word was meant to be, "" for none.
func probably(c *cobra.Command, word string) string {
	var names []string
	for _, member := range c.Commands() {
		if !member.IsAvailableCommand() {
			continue
		}
		if slices.Contains(member.SuggestFor, word) {
			return member.Name()
		}
		names = append(names, member.Name())
	}
	return Nearest(names, word)
}

// groupUsage lists the members of a group in one line.
func groupUsage(c *cobra.Command) string {
	var names []string
	for _, member := range c.Commands() {
		if member.IsAvailableCommand() {
			names = append(names, member.Name())
		}
	}
	members := strings.Join(names, "|")
	if runsAlone(c) {
		members = "[" + members + "]"
	}
	return fmt.Sprintf("usage: %s %s", c.CommandPath(), members)
}

// flagError says in the words of this program what is wrong with a flag.
func flagError(c *cobra.Command, err error) error {
	text := err.Error()
	if missing, ok := errors.AsType[*pflag.NotExistError](err); ok {
		text = unknownFlag(c, missing)
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		cause := invalid.Unwrap()
		if number, ok := errors.AsType[*strconv.NumError](cause); ok {
			cause = number.Err
		}
		text = fmt.Sprintf("invalid value %q for --%s: %v", invalid.GetValue(), invalid.GetFlag().Name, cause)
	}
	return Usagef("%s; run %s -h to list the flags", text, c.CommandPath())
}

func unknownFlag(c *cobra.Command, missing *pflag.NotExistError) string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if short := missing.GetSpecifiedShortnames(); short != "" {
		// A single minus before a whole name is read as several flags of one letter.
		name, _, _ := strings.Cut(short, "=")
		if c.Flags().Lookup(name) != nil {
			return fmt.Sprintf("unknown flag -%s; did you mean --%s?", name, name)
		}
		return "unknown flag -" + name
	}
	name := missing.GetSpecifiedName()
	text := "unknown flag --" + name
	if near := Nearest(names, name); near != "" {
		text += fmt.Sprintf("; did you mean --%s?", near)
	}
	return text
}
