// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"io"
	"net/http"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// Session returns the command `calleridp session`.
func Session() *cobra.Command {
	return command.Group(command.Text{Use: "session", Short: "end a session of a user"},
		collection[admin.UserSession]{argument: "SID", path: "/v1/sessions/"}.command(command.Text{
			Use:     "end",
			Short:   "end one session; calleridp user show names them",
			Example: "calleridp session end 5Q3bY9rKcVxW8eTt2LmZ0g",
		}, http.MethodDelete, "", func(out io.Writer, s admin.UserSession) error {
			_, err := fmt.Fprintf(out, "session %s has ended\n", s.SID)
			return err
		}),
	)
}
