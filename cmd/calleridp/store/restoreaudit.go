// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"io"

	"calleridp/cmd/calleridp/config"
	"calleridp/provider/audit/trail"
	"calleridp/storage/bolt"
)

// reportAudit compares the files of the audit with what the restored store knows of them.
// Lines that an attacker cut off from before the backup are missed; lines after it are
// known to no store any more. The first start writes into the audit what it finds.
func reportAudit(ctx context.Context, out io.Writer, s config.Settings) error {
	if !s.Audit.Goes(config.AuditFile) {
		return nil
	}
	heads, err := bolt.ReadAuditHeads(ctx, s.StoreFile(), s.Master, bolt.Options{})
	if err != nil {
		return err
	}
	reports, err := trail.Verify(ctx, trail.Verification{Key: s.Master, Dir: s.Audit.Dir, Heads: append([]trail.Head{}, heads...), Whole: true})
	if err != nil {
		return fmt.Errorf("the store was restored, and the audit cannot be read: %w; run calleridp audit verify", err)
	}
	for _, r := range reports {
		if r.Head == nil {
			continue
		}
		switch wrong := len(r.Problems) + r.More; {
		case wrong > 0:
			_, err = fmt.Fprintf(out, "The audit of %s is not whole: %d findings; put back its newer files, or run calleridp audit verify and see docs/operators/audit.md.\n", r.Server, wrong)
		case r.Last > r.Head.Seq:
			_, err = fmt.Fprintf(out, "The audit of %s goes on to line %d; the backup knew line %d. Compare the end with your copy elsewhere: lines that were cut off after the backup are not missed.\n", r.Server, r.Last, r.Head.Seq)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
