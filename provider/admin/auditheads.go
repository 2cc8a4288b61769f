// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"net/http"

	"calleridp/provider/apikey"
	"calleridp/provider/audit/trail"

	"github.com/danielgtaylor/huma/v2"
)

func (a *API) auditHeads() {
	register(a, huma.Operation{
		OperationID: "list-audit-heads", Method: http.MethodGet, Path: "/v1/audit/heads", Tags: []string{"Audit"},
		Summary:     "List how far the store knows the chains of the audit",
		Description: "What calleridp audit verify compares the files with while the server runs.",
	}, apikey.AuditRead, a.ListAuditHeads)
}

// AuditHeads are the chains of the audit, as far as the store knows them.
type AuditHeads struct {
	Heads []trail.Head `json:"heads" doc:"One for each server that has written lines."`
}

// ListAuditHeads returns what the store knows of the chains of the audit.
func (a *API) ListAuditHeads(ctx context.Context, _ *struct{}) (*Reply[AuditHeads], error) {
	if err := allowed(ctx, apikey.AuditRead); err != nil {
		return nil, err
	}
	heads, err := a.AuditHeads(ctx)
	if err != nil {
		return nil, err
	}
	return reply(AuditHeads{append([]trail.Head{}, heads...)}), nil
}
