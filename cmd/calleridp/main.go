// Command calleridp is an OpenID Provider that signs people in with Truecaller.
//
//	main.go          the commands
//	config.go        the configuration file: its struct is the manual
//	decode.go        reads it, and the environment
//	check.go         what can be wrong with it; checkapps.go and checkui.go go on
//	build.go         puts all parts together, in one function
//	serve.go         listens, and stops in peace
//	middleware.go    what every request goes through
//	address.go       whose request it is, behind proxies
//	countrydb.go     the country of a network
//	certificate.go   the certificate, read again when it changes; callbacksecrets.go the same of those
//	dev.go           everything on a laptop
//	operator.go      talks to the running server for the next four
//	clients.go       client: the applications
//	signingkeys.go   keys: the signing keys, and the master key
//	users.go         user: the people
//	limits.go        limit: locks and budgets
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
)

const usage = `CallerIdP: Sign in with Truecaller, for any application that speaks OpenID Connect.

Usage:

  calleridp dev                             try it: provider, simulated Truecaller and demo application
  calleridp serve --config FILE             run it for real
  calleridp config check --config FILE      say everything that is wrong with a configuration

  calleridp keys init-master --out FILE     make the master key of a new deployment
  calleridp keys list|rotate|remove         look at or rotate the signing keys
  calleridp client add|list|show|rotate-secret|remove
                                            the applications that may sign people in
  calleridp user find NUMBER, user show|signout|delete SUB
                                            where a person is signed in; ends it, or deletes them
  calleridp limit show|clear NUMBER         what a number may still be asked; --network, --client, --deployment

  calleridp version

client, keys, user and limit talk to the running server. Each command explains its flags with -h.
`

// command is a subcommand. It returns what went wrong in one line.
type command func(ctx context.Context, args []string, out io.Writer) error

// commands are the first words of the command line.
var commands = map[string]command{
	"serve":   serve,
	"dev":     dev,
	"config":  group("config", map[string]command{"check": configCheck}),
	"client":  group("client", map[string]command{"add": clientAdd, "list": clientList, "show": clientShow, "rotate-secret": clientRotateSecret, "remove": clientRemove}),
	"keys":    group("keys", map[string]command{"init-master": keysInitMaster, "list": keysList, "rotate": keysRotate, "remove": keysRemove}),
	"limit":   group("limit", map[string]command{"show": limitShow, "clear": limitClear}),
	"user":    group("user", map[string]command{"find": userFind, "show": userShow, "signout": userSignOut, "delete": userDelete}),
	"version": version,
}

// group is a command whose next word chooses among others.
func group(name string, members map[string]command) command {
	var words []string
	for word := range members {
		words = append(words, word)
	}
	slices.Sort(words)
	choice := strings.Join(words, ", ")
	return func(ctx context.Context, args []string, out io.Writer) error {
		if len(args) == 0 {
			return usageError("say which: calleridp %s %s", name, strings.Join(words, "|"))
		}
		if args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
			fmt.Fprintf(out, "calleridp %s: say one of %s; each explains its flags with -h\n", name, choice)
			return nil
		}
		do, ok := members[args[0]]
		if !ok {
			return usageError("there is no %s %s; there are %s", name, args[0], choice)
		}
		return do(ctx, args[1:], out)
	}
}

// wrongUsage is about wrong words and flags: exit status 2.
type wrongUsage struct{ text string }

func (e *wrongUsage) Error() string { return e.text }

func usageError(format string, args ...any) error {
	return &wrongUsage{fmt.Sprintf(format, args...)}
}

func main() {
	// Collecting less often saves a seventh of the CPU of a sign-in and costs
	// some 10 MiB under load. GOGC in the environment still decides.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
	// The first signal ends it in peace, a second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { <-ctx.Done(); stop() }()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program: 0 for success, 1 for failure, 2 for wrong usage.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	if len(args) > 1 && args[0] == "help" { // calleridp help serve
		args = append(args[1:], "-h")
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(out, usage)
		return 0
	}
	do, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(errOut, "calleridp: there is no command %q; calleridp help lists them\n", args[0])
		return 2
	}
	err := do(ctx, args[1:], out)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(errOut, "calleridp %s: %v\n", args[0], err)
	if wrong := (*wrongUsage)(nil); errors.As(err, &wrong) {
		return 2
	}
	return 1
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

// parse parses flags, and takes as many other words as names says, each called
// by its name when it is missing; those in brackets may be. Flags may stand before and after them. Only -h
// prints the flags.
func parse(f flagSet, args []string, names ...string) ([]string, error) {
	var words []string
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(f.out, "calleridp %s: %s\n\n", strings.Join(append([]string{f.Name()}, names...), " "), f.about)
			f.SetOutput(f.out)
			f.PrintDefaults()
			return nil, err
		}
		if err != nil {
			return nil, usageError("%v; calleridp %s -h lists the flags", err, f.Name())
		}
		if f.NArg() == 0 {
			break
		}
		if len(words) == len(names) {
			return nil, usageError("unexpected %q; calleridp %s -h lists the flags", f.Arg(0), f.Name())
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
	if len(words) < len(names) && !strings.HasPrefix(names[len(words)], "[") {
		return nil, usageError("%s is missing: calleridp %s %s", names[len(words)], f.Name(), strings.Join(names, " "))
	}
	return words, nil
}

// configFlag names the configuration file.
func configFlag(f flagSet) *string {
	return f.String("config", os.Getenv("CALLERIDP_CONFIG"), "the configuration `file`, or CALLERIDP_CONFIG; without one, the environment alone")
}

func version(_ context.Context, args []string, out io.Writer) error {
	if _, err := parse(flags("version", "what this is", out), args); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "calleridp", versionText())
	return err
}

func versionText() string {
	version, goVersion := versions()
	return version + " " + goVersion
}

// versions are those of the program and of Go.
func versions() (version, goVersion string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)", runtime.Version()
	}
	version = info.Main.Version
	if version == "" || version == "(devel)" {
		version = "development"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				version += " " + s.Value
			}
		}
	}
	return version, info.GoVersion
}
