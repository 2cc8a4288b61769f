// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// Import returns the command `calleridp import`.
func Import() *cobra.Command {
	var dryRun bool
	c := newCommand(command.Text{
		Use:   "import FILE",
		Short: "add the clients or users of a file that calleridp export has written",
		Long: "What is here already is left as it is, so the command can be run again. It looks for conflicts first: if there are any, it lists them and adds nothing. " +
			"Clients keep their secrets. Users keep their sub; pairwise clients see the same sub only under the same master key.",
		Example: "calleridp import clients.json --dry-run\ncalleridp import users.json",
	}, func(ctx context.Context, r request, args []string) error {
		raw, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		p, err := admin.ReadPortable(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return importAll(ctx, r, p, dryRun)
	})
	c.ValidArgsFunction = nil // files
	c.Flags().BoolVar(&dryRun, "dry-run", false, "look for conflicts, and add nothing")
	return c
}

// importAll looks for conflicts in all of a file, and then adds it, in parts.
func importAll(ctx context.Context, r request, p admin.Portable, dryRun bool) error {
	found, err := importParts(ctx, r, p, true)
	if err != nil {
		return err
	}
	if !dryRun && len(found.Conflicts) == 0 {
		if found, err = importParts(ctx, r, p, false); err != nil {
			return err
		}
	}
	if err := printResponse(r, found, func(out io.Writer, i admin.Imported) error { return writeImported(out, i, dryRun) }); err != nil {
		return err
	}
	if n := len(found.Conflicts); n > 0 {
		return errors.New(counted(n, "conflict", "conflicts") + "; nothing was added")
	}
	return nil
}

func importParts(ctx context.Context, r request, p admin.Portable, dryRun bool) (all admin.Imported, err error) {
	query := ""
	if dryRun {
		query = "?dry_run=true"
	}
	part := func(path string, body any) error {
		var one admin.Imported
		if err := r.call(ctx, http.MethodPost, path+query, body, &one); err != nil {
			return err
		}
		all.Added += one.Added
		all.Unchanged += one.Unchanged
		all.Conflicts = append(all.Conflicts, one.Conflicts...)
		return nil
	}
	for clients := range slices.Chunk(p.Clients, 20) { // their keys may be large
		if err := part("/v1/clients/import", map[string]any{"clients": clients}); err != nil {
			return all, err
		}
	}
	for users := range slices.Chunk(p.Users, admin.ImportMost) {
		if err := part("/v1/users/import", map[string]any{"users": users}); err != nil {
			return all, err
		}
	}
	return all, nil
}

func writeImported(out io.Writer, i admin.Imported, dryRun bool) error {
	for _, c := range i.Conflicts {
		fmt.Fprintf(out, "%s: %s\n", c.ID, c.Reason)
	}
	switch {
	case len(i.Conflicts) > 0:
		return nil
	case dryRun:
		_, err := fmt.Fprintf(out, "%d would be added, %d are here already\n", i.Added, i.Unchanged)
		return err
	}
	_, err := fmt.Fprintf(out, "%d added, %d were here already\n", i.Added, i.Unchanged)
	return err
}
