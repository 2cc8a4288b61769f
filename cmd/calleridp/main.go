// Command calleridp is an OpenID Provider that signs people in with Truecaller.
//
//	main.go      the commands
//	config.go    the configuration file: its struct is the manual
//	check.go     what can be wrong with it
//	build.go     puts all parts together, in one function
//	web.go       listening, middleware, shutting down
//	dev.go       everything on a laptop
//	manage.go    client and keys: they talk to the running server
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

const usage = `CallerIdP: Sign in with Truecaller, for any application that speaks OpenID Connect.

Usage:

  calleridp dev                             try it: provider, simulated Truecaller and demo application
  calleridp serve --config FILE             run it for real
  calleridp config check --config FILE      say everything that is wrong with a configuration

  calleridp keys init-master --out FILE     make the master key of a new deployment
  calleridp keys list|rotate                look at or rotate the signing keys
  calleridp client add|list|show|rotate-secret|remove
                                            the applications that may sign people in

  calleridp version

client and keys talk to the running server. Each command explains its flags with -h.
`

// command is a subcommand. It returns what went wrong in one line.
type command func(ctx context.Context, args []string, out io.Writer) error

var commands = map[string]command{
	"serve":   serve,
	"dev":     dev,
	"config":  configCommand,
	"client":  clientCommand,
	"keys":    keysCommand,
	"version": version,
}

// errUsage is for wrong words and flags: exit status 2.
var errUsage = errors.New("usage")

func main() {
	// The first signal ends it in peace, a second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { <-ctx.Done(); stop() }()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(out, usage)
		return 0
	}
	do, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(errOut, "calleridp: there is no command %q; calleridp help lists them\n", args[0])
		return 2
	}
	switch err := do(ctx, args[1:], out); {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(errOut, "calleridp %s: %v\n", args[0], err)
		return 2
	default:
		fmt.Fprintf(errOut, "calleridp %s: %v\n", args[0], err)
		return 1
	}
}

// flagSet is a flag set whose mistakes come back as one line.
type flagSet struct {
	*flag.FlagSet
	about string
	out   io.Writer
}

func flags(name, about string, out io.Writer) flagSet {
	f := flagSet{flag.NewFlagSet(name, flag.ContinueOnError), about, out}
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// parse parses flags and refuses anything else. Only -h prints them.
func parse(f flagSet, args []string) error {
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(f.out, "calleridp %s: %s\n\n", f.Name(), f.about)
		f.SetOutput(f.out)
		f.PrintDefaults()
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %v; calleridp %s -h lists the flags", errUsage, err, f.Name())
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%w: unexpected %q; calleridp %s -h lists the flags", errUsage, f.Arg(0), f.Name())
	}
	return nil
}

func version(_ context.Context, args []string, out io.Writer) error {
	if err := parse(flags("version", "what this is", out), args); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "calleridp", versionText())
	return err
}

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	text := info.Main.Version
	if text == "" || text == "(devel)" {
		text = "development"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			text += " " + s.Value
		}
	}
	return text + " " + info.GoVersion
}
