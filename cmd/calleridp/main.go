// SPDX-License-Identifier: Apache-2.0

// Command calleridp is an OpenID Provider that signs users in with Truecaller.
//
//	build.go    assembles the whole program, in one function
//	reload.go   what of it changes when the configuration is read again
//	backups.go  what makes backups of its store
//	running.go  how it is: what the status and the console's overview say
//	main.go     lists the commands, which are the rooms below
//
//	serve/      runs the server: listeners, middleware, certificates, shutdown
//	acme/       obtains its certificate from an ACME server
//	dev/        runs everything on a laptop, with simulator and demo/
//	config/     the configuration: its structs are the manual
//	doctor/     looks for what is wrong with a deployment; probe/ is its part in the server
//	health/     asks the server of this machine, for containers
//	simulate/   runs the simulated Truecaller by itself
//	operator/   clients of the running server's admin API: client, keys, user, limit
//	audit/      verifies and shows the files of the audit
//	store/      copies a store from one engine to the other
//	metrics/    what Prometheus reads
//
//	command/    the tree of commands: parsing, help, completion, manual pages
//	country/    looks up the country of a network
//	selfsigned/ writes certificates for dev and tests
//
// build.go is here and not in serve because serve and dev both run the program
// that it assembles, and neither should know what that consists of: main hands
// build to them.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"calleridp/cmd/calleridp/audit"
	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/dev"
	"calleridp/cmd/calleridp/doctor"
	"calleridp/cmd/calleridp/health"
	"calleridp/cmd/calleridp/operator"
	"calleridp/cmd/calleridp/serve"
	"calleridp/cmd/calleridp/simulate"
	"calleridp/cmd/calleridp/store"

	"github.com/spf13/cobra"
)

// newRoot returns the whole command line.
func newRoot() *cobra.Command {
	return command.Root("calleridp", "CallerIdP: Sign in with Truecaller, for any application that speaks OpenID Connect.", versionText(),
		command.Section{Title: "Run it", Commands: []*cobra.Command{
			dev.Command(build),
			serve.Command(build, versionText()),
			simulate.Command(),
			health.Command(),
		}},
		command.Section{Title: "Prepare and move a deployment", Commands: []*cobra.Command{
			config.Command(operator.ShowConfig()),
			doctor.Command(func(socket string) doctor.Admin { return operator.Socket(socket) }),
			config.MigrateCommand(),
			store.Command(),
			store.RestoreCommand(),
			store.ExportCommand(),
		}},
		command.Section{Title: "Manage the running server, over its admin socket", Commands: []*cobra.Command{
			operator.Backup(store.VerifyCommand()),
			operator.Client(),
			operator.APIKey(),
			operator.Grant(),
			operator.Import(),
			operator.Keys(),
			operator.Limit(),
			operator.Notice(),
			operator.Stream(),
			operator.Number(),
			operator.RegistrationToken(),
			operator.Session(),
			operator.Status(),
			operator.User(),
		}},
		command.Section{Title: "Look at what happened", Commands: []*cobra.Command{audit.Command()}},
		command.Section{Title: "About this program", Commands: []*cobra.Command{versionCommand()}},
	)
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
	os.Exit(command.Run(ctx, newRoot(), os.Args[1:], os.Stdout, os.Stderr))
}

func versionCommand() *cobra.Command {
	return command.New(command.Text{
		Use:     "version",
		Short:   "print the version",
		Example: "calleridp version",
	}, func(_ context.Context, _ []string, out io.Writer) error {
		_, err := fmt.Fprintln(out, "calleridp", versionText())
		return err
	})
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
