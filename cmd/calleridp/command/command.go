// Package command parses the words and flags of subcommands. A command line that
// cannot be parsed is a *UsageError, in one line with the way out.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// Func runs a subcommand with the arguments behind its name. It writes results to
// out; its error is the one line that the user sees.
type Func func(ctx context.Context, args []string, out io.Writer) error

// UsageError is a wrong command line: exit status 2.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

// Usagef formats a *UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// Group returns a command whose next word selects one of its members.
func Group(name string, members map[string]Func) Func {
	usage := fmt.Sprintf("usage: calleridp %s %s", name, strings.Join(slices.Sorted(maps.Keys(members)), "|"))
	return func(ctx context.Context, args []string, out io.Writer) error {
		if len(args) == 0 {
			return Usagef("%s", usage)
		}
		if args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
			_, err := fmt.Fprintf(out, "%s\n\nRun one of them with -h to list its flags.\n", usage)
			return err
		}
		run, ok := members[args[0]]
		if !ok {
			return Usagef("unknown command %q; %s", name+" "+args[0], usage)
		}
		return run(ctx, args[1:], out)
	}
}

// Flags parses the flags and arguments of one command.
type Flags struct {
	*flag.FlagSet
	summary string
	out     io.Writer
}

// New returns the flags of the command that name spells out ("client add").
// summary says in the imperative what it does. Help goes to out.
func New(name, summary string, out io.Writer) Flags {
	f := Flags{flag.NewFlagSet(name, flag.ContinueOnError), summary, out}
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// Arguments parses args and returns those that are no flags, at most one for each
// name; a name in brackets is optional. Flags may stand before and after
// arguments. With -h it prints the help and returns flag.ErrHelp.
func (f Flags) Arguments(args []string, names ...string) ([]string, error) {
	line := strings.Join(append([]string{"calleridp", f.Name()}, names...), " ")
	var arguments []string
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(f.out, "%s: %s\n\n", line, f.summary)
			f.SetOutput(f.out)
			f.PrintDefaults()
			return nil, err
		}
		if err != nil {
			return nil, Usagef("%v; run calleridp %s -h to list the flags", err, f.Name())
		}
		if f.NArg() == 0 {
			break
		}
		if len(arguments) == len(names) {
			return nil, Usagef("unexpected argument %q; usage: %s", f.Arg(0), line)
		}
		arguments, args = append(arguments, f.Arg(0)), f.Args()[1:]
	}
	if len(arguments) < len(names) && !strings.HasPrefix(names[len(arguments)], "[") {
		return nil, Usagef("missing %s; usage: %s", names[len(arguments)], line)
	}
	return arguments, nil
}

// Config adds the flag that names the configuration file.
func (f Flags) Config() *string {
	return f.String("config", os.Getenv("CALLERIDP_CONFIG"), "read the configuration `file`; default CALLERIDP_CONFIG, else the environment alone")
}

// List is the value of a flag that may be repeated.
type List []string

func (l *List) String() string { return strings.Join(*l, " ") }

// Set implements flag.Value.
func (l *List) Set(s string) error { *l = append(*l, s); return nil }
