// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"encoding/binary"

	"calleridp/provider/grant"
	"calleridp/provider/subject"
)

// Two indexes lead from an owner to its records: sessionGrants from a sid to
// grants and codes, personIndex from a sub to sessions, grants and codes. An
// entry is a key without a value. It exists as long as the record does.

// ownedKey names a record to which an index leads.
type ownedKey struct {
	of  *bucket
	key []byte
}

// ownerKey returns the key of an index entry: the length of the owner, the owner,
// the bucket's mark, the record's key.
func ownerKey(owner string, b *bucket, key []byte) []byte {
	k := make([]byte, 0, 2+len(owner)+1+len(key))
	k = binary.BigEndian.AppendUint16(k, uint16(len(owner)))
	k = append(k, owner...)
	k = append(k, b.mark)
	return append(k, key...)
}

// own adds a record that is about to be stored to an index, unless the record
// exists or has no owner.
func (t *txn) own(index *bucket, owner string, b *bucket, key []byte) error {
	if owner == "" || t.tx.Bucket(b.id).Get(key) != nil {
		return nil
	}
	return t.mark(index, ownerKey(owner, b, key))
}

// ofPerson is own for the records of a user. A deleted user gets no new ones.
func (t *txn) ofPerson(sub string, b *bucket, key []byte) error {
	if t.tx.Bucket(b.id).Get(key) == nil && t.isDeleted(sub) {
		return subject.ErrNotFound
	}
	return t.own(&personIndex, sub, b, key)
}

// disown removes a grant, or the code for one, from the indexes.
func (t *txn) disown(g grant.Grant, b *bucket, key []byte) error {
	if err := t.del(&personIndex, ownerKey(g.Sub, b, key)); err != nil {
		return err
	}
	return t.del(&sessionGrants, ownerKey(g.SID, b, key))
}

// owned returns the records of an owner in an index. The result stays valid while
// the transaction writes.
func (r reader) owned(index *bucket, owner string) (found []ownedKey) {
	prefix := ownerKey(owner, &bucket{}, nil)
	prefix = prefix[:len(prefix)-1]
	cursor := r.tx.Bucket(index.id).Cursor()
	for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix) && len(k) > len(prefix); k, _ = cursor.Next() {
		for _, b := range buckets {
			if b.mark != 0 && b.mark == k[len(prefix)] {
				found = append(found, ownedKey{of: b, key: bytes.Clone(k[len(prefix)+1:])})
			}
		}
	}
	return found
}
