// SPDX-License-Identifier: Apache-2.0

package record

import "calleridp/keys"

// Deleted has a Tombstone for every deleted user, under Sealer.DeletedKey.
var Deleted = Kind{Name: "deleted", purpose: keys.PurposeDeletedRecord, version: 1, empty: empty[Tombstone]}

// DeletedKey returns the key of a deleted user's tombstone: a keyed hash, so
// that without the master key the tombstone does not tell whose it is.
func (s Sealer) DeletedKey(sub string) [32]byte {
	return s.master.MAC(keys.PurposeDeletedHash, []byte(sub))
}
