// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"

	"calleridp/provider/audit"
)

// change does something that an operator wants, after the audit has kept its line: who, in
// the context, and what, in e. Every change of the API goes through here, and nothing else
// decides what is recorded first. What can be refused is refused before, so that a line
// stands for something that was tried; if it fails then, a second line says so.
func (a *API) change(ctx context.Context, e audit.Event, do func(context.Context) error) error {
	return audit.Change(ctx, a.Audit, e, do)
}
