// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
	"calleridp/provider/audit/trail"
)

// AuditHeads are found by the names of their servers.
var AuditHeads = Kind{Name: "audit_heads", purpose: keys.PurposeAuditHeadRecord, version: 1, empty: empty[AuditHead]}

// AuditHead is a trail.Head.
type AuditHead trail.Head

func (h *AuditHead) fields(c *codec, _ byte) {
	text(c, &h.Server)
	number(c, &h.First)
	number(c, &h.Seq)
	hash(c, &h.Digest)
	c.time(&h.Time)
}
