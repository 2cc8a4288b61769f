package config

import (
	"context"
	"fmt"
	"io"

	"calleridp/cmd/calleridp/command"
)

// CheckCommand is the command `calleridp config check`.
func CheckCommand(_ context.Context, args []string, out io.Writer) error {
	f := command.New("config check", "report every error in a configuration, and what this user cannot write", out)
	file := f.Config()
	if _, err := f.Arguments(args); err != nil {
		return err
	}
	s, err := Load(*file)
	if err != nil {
		return err
	}
	if invalid := s.checkWritable(); invalid != nil {
		return &InvalidError{Source: source(*file), Keys: invalid}
	}
	for _, warning := range s.Warnings() {
		fmt.Fprintf(out, "note: %s\n", warning)
	}
	_, err = fmt.Fprintf(out, "%s: OK\n", source(*file))
	return err
}
