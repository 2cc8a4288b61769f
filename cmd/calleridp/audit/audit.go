// SPDX-License-Identifier: Apache-2.0

// Package audit has the commands that read the files of the audit: whether a server runs
// or not, and on another machine, too.
//
//	audit.go   the commands, and where they find files and key
//	verify.go  calleridp audit verify
//	heads.go   what the store knows of the chains
//	show.go    calleridp audit show
package audit

import (
	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/keys"

	"github.com/spf13/cobra"
)

// Command returns the command `calleridp audit`.
func Command() *cobra.Command {
	return command.Group(command.Text{
		Use:     "audit",
		Short:   "verify and show who signed in where, and who changed what",
		Example: "calleridp audit verify --config /etc/calleridp/calleridp.yaml\ncalleridp audit show --client shop --since 24h",
	}, verifyCommand(), showCommand())
}

// source is where the files are, and what reads them.
type source struct {
	file, dir, master *string
}

// addFlags adds the flags that name it.
func addFlags(c *cobra.Command) source {
	return source{
		file: command.Config(c),
		dir: c.Flags().String("dir", "",
			"read the files in this `directory`; default audit.dir of the configuration"),
		master: c.Flags().String("master-key-file", "",
			"use this master key `file` and no configuration, as on another machine; needs --dir, and the store is not asked"),
	}
}

// opened is a source whose configuration was read.
type opened struct {
	dir      string
	master   *keys.Master
	settings *config.Settings // nil: there is none
}

// open reads the configuration, or the master key alone. stream means that no file of the
// audit is read.
func (s source) open(stream bool) (opened, error) {
	if *s.master != "" {
		if *s.dir == "" && !stream {
			return opened{}, command.Usagef("--master-key-file needs --dir, which names the directory of the files")
		}
		master, err := keys.LoadMaster(*s.master)
		return opened{dir: *s.dir, master: master}, err
	}
	settings, err := config.Load(*s.file)
	if err != nil {
		return opened{}, err
	}
	dir := *s.dir
	if dir == "" {
		dir = settings.Audit.Dir
	}
	return opened{dir, settings.Master, &settings}, nil
}
