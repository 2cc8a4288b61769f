// Command calleridp is an OpenID Provider that signs users in with Truecaller.
//
//	build.go    assembles the whole program, in one function
//	main.go     dispatches the commands, which are the rooms below
//
//	serve/      runs the server: listeners, middleware, certificates, shutdown
//	dev/        runs everything on a laptop, with simulator and demo/
//	config/     the configuration: its structs are the manual
//	operator/   clients of the running server's admin API: client, keys, user, limit
//	store/      copies a store from one engine to the other
//	metrics/    what Prometheus reads
//
//	command/    parses words and flags for all of them
//	country/    looks up the country of a network
//	selfsigned/ writes certificates for dev and tests
//
// build.go is here and not in serve because serve and dev both run the program
// that it assembles, and neither should know what that consists of: main hands
// build to them.
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
	"syscall"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/dev"
	"calleridp/cmd/calleridp/operator"
	"calleridp/cmd/calleridp/serve"
	"calleridp/cmd/calleridp/store"
)

const usage = `CallerIdP: Sign in with Truecaller, for any application that speaks OpenID Connect.

Usage:

  calleridp dev                             try it: provider, simulated Truecaller and demo application
  calleridp serve --config FILE             run the server
  calleridp config check --config FILE      report every error in a configuration
  calleridp migrate --config FILE           bring the schema of a PostgreSQL database up to date
  calleridp store copy --to postgres|bolt --config FILE
                                            copy everything to PostgreSQL or back, while no server runs

  calleridp keys init-master --out FILE     create the master key of a new deployment
  calleridp keys list|rotate|remove         list, rotate or remove the signing keys
  calleridp client add|list|show|rotate-secret|remove
                                            manage the applications that may sign users in
  calleridp registration-token add|list|remove
                                            manage the tokens with which applications register themselves
  calleridp user find NUMBER, user show|signout|delete SUB
                                            show where a user is signed in, sign them out or delete them
  calleridp limit show|clear NUMBER         show or clear rate limits; also --network, --client, --deployment

  calleridp version                         print the version

client, registration-token, keys, user and limit talk to the running server. Run a command with -h to list its flags.
`

// commands are the first words of the command line.
var commands = map[string]command.Func{
	"serve":              serve.Command(build, versionText()),
	"dev":                dev.Command(build),
	"config":             command.Group("config", map[string]command.Func{"check": config.CheckCommand}),
	"client":             operator.Client,
	"keys":               operator.Keys,
	"limit":              operator.Limit,
	"migrate":            config.MigrateCommand,
	"notice":             operator.Notice,
	"registration-token": operator.RegistrationToken,
	"store":              command.Group("store", map[string]command.Func{"copy": store.Copy}),
	"user":               operator.User,
	"version":            version,
}

func main() {
	// Collecting garbage less often saves a seventh of the CPU time of a sign-in and
	// costs some 10 MiB under load. GOGC in the environment overrides it.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
	// The first signal stops gracefully, a second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { <-ctx.Done(); stop() }()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs a command line and returns the exit status: 0 for success, 1 for
// failure, 2 for wrong usage.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	if len(args) > 1 && args[0] == "help" { // calleridp help serve
		args = append(args[1:], "-h")
	}
	if len(args) == 1 && (args[0] == "--version" || args[0] == "-version" || args[0] == "-v") {
		args = []string{"version"}
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(out, usage)
		return 0
	}
	do, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(errOut, "calleridp: unknown command %q; run calleridp help to list the commands\n", args[0])
		return 2
	}
	err := do(ctx, args[1:], out)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(errOut, "calleridp %s: %v\n", args[0], err)
	if _, ok := errors.AsType[*command.UsageError](err); ok {
		return 2
	}
	return 1
}

func version(_ context.Context, args []string, out io.Writer) error {
	if _, err := command.New("version", "print the version", out).Arguments(args); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "calleridp", versionText())
	return err
}

func versionText() string {
	version, goVersion := versions()
	return version + " " + goVersion
}

// versions returns the versions of the program and of Go.
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
