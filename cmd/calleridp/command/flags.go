// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Config adds the flag that names the configuration file.
func Config(c *cobra.Command) *string {
	file := c.Flags().String("config", os.Getenv("CALLERIDP_CONFIG"), "read the configuration `file`; default CALLERIDP_CONFIG, else the environment alone")
	c.Flags().Lookup("config").DefValue = "" // the help and the manual are the same for every environment
	must(c.MarkFlagFilename("config", "yaml", "yml"))
	return file
}

// Formats of what a command prints.
const (
	Table = "table"
	JSON  = "json"
)

// Output adds the flag that chooses between Table and JSON.
func Output(c *cobra.Command) *string {
	var format string
	Choice(c, &format, "output", "o", Table, "`format` of what is printed: table or json", Table, JSON)
	return &format
}

// PrintJSON writes what a command prints as JSON, for readers and programs: indented, and with
// addresses as they are.
func PrintJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Choice adds a flag that takes one of a few values. usage lists them; short is a letter
// for it, or empty.
func Choice(c *cobra.Command, value *string, name, short, standard, usage string, values ...string) {
	*value = standard
	c.Flags().VarP(&choice{value, values}, name, short, usage)
	Complete(c, name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// choice is the value of a flag that takes one of a few.
type choice struct {
	value  *string
	values []string
}

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return "string" }

// Set implements pflag.Value.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.values, s) {
		return fmt.Errorf("use one of %s", strings.Join(c.values, ", "))
	}
	*c.value = s
	return nil
}

// Complete sets what a shell completes a flag with.
func Complete(c *cobra.Command, name string, values cobra.CompletionFunc) {
	must(c.RegisterFlagCompletionFunc(name, values))
}

// must panics if a flag is completed that the command does not have.
func must(err error) {
	if err != nil {
		panic("command: " + err.Error())
	}
}
