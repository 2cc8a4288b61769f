// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"time"

	"calleridp/storage/record"
	"calleridp/storage/transfer"
)

// What was used up, ended or deleted after a backup was made is as it was before in the
// store that is restored from it. Records that live for minutes are left out, so that none
// of them is used a second time: clients and browsers begin anew. What lives longer is
// restored, because that is what backups are for, unless the operator says otherwise.

// Short are the kinds that a restore leaves out: codes (RFC 6749 §4.1.2), the attempts,
// callbacks and device requests that lead to them, and access tokens, which may have been
// revoked (RFC 7009 §2.1). A client with a refresh token gets another one.
var Short = []*record.Kind{
	&record.Attempts, &record.Forms, &record.Deliveries, &record.Codes, &record.AccessTokens, &record.DeviceRequests,
}

// SignedIn are the kinds by which users are signed in: browsers, and applications on their
// behalf.
var SignedIn = []*record.Kind{&record.Sessions, &record.Grants}

// Restored reads from a store what a restore stores.
type Restored struct {
	transfer.Reader
	Without []*record.Kind
	Sealer  record.Sealer
	// Issuer, if not "", replaces the issuer to which the store belongs.
	Issuer string
	// At is stored as the time of the restore, with Taken, that of the backup.
	At, Taken time.Time
}

// Count implements transfer.Reader.
func (r Restored) Count(ctx context.Context, k *record.Kind) (int, error) {
	if r.leavesOut(k) {
		return 0, nil
	}
	return r.Reader.Count(ctx, k)
}

func (r Restored) leavesOut(k *record.Kind) bool {
	return slices.Contains(r.Without, k)
}

// Records implements transfer.Reader.
func (r Restored) Records(ctx context.Context, k *record.Kind, at time.Time) iter.Seq2[transfer.Stored, error] {
	return func(yield func(transfer.Stored, error) bool) {
		if r.leavesOut(k) {
			return
		}
		for stored, err := range r.Reader.Records(ctx, k, at) {
			if k == &record.Meta && err == nil {
				switch {
				case bytes.Equal(stored.Key, record.RestoredKey): // of an earlier restore
					continue
				case bytes.Equal(stored.Key, record.IssuerKey) && r.Issuer != "":
					stored.Value = r.text(stored.Key, r.Issuer)
				}
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
		if k == &record.Meta {
			note := r.Taken.UTC().Format(time.RFC3339) + " " + r.At.UTC().Format(time.RFC3339)
			yield(transfer.Stored{Key: record.RestoredKey, Value: r.text(record.RestoredKey, note)}, nil)
		}
	}
}

func (r Restored) text(key []byte, text string) []byte {
	return r.Sealer.Seal(&record.Meta, key, time.Time{}, (*record.Text)(&text))
}
