// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"net/http"
	"time"

	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// completionTimeout is how long a shell waits for the running server.
const completionTimeout = 500 * time.Millisecond

// completeClient completes the first argument with the client ids of the running server,
// with their names. Without a server it completes nothing, and says nothing: the user is
// in the middle of a line.
func completeClient(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return clientIDs(c), cobra.ShellCompDirectiveNoFileComp
}

// completeClientFlag completes a flag in the same way.
func completeClientFlag(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return clientIDs(c), cobra.ShellCompDirectiveNoFileComp
}

func clientIDs(c *cobra.Command) []cobra.Completion {
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	socket, _ := c.Flags().GetString("socket")
	file, _ := c.Flags().GetString("config")
	var all []admin.Client
	r := request{socket: socket, config: &file}
	if err := r.call(ctx, http.MethodGet, "/v1/clients", nil, &all); err != nil {
		return nil
	}
	var ids []cobra.Completion
	for _, client := range all {
		ids = append(ids, cobra.CompletionWithDesc(client.ID, client.Name))
	}
	return ids
}
