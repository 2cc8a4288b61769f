// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/binary"

	"calleridp/keys"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
)

// Streams are found by their client id.
var Streams = Kind{Name: "streams", purpose: keys.PurposeStreamRecord, version: 1, empty: empty[Stream]}

// KnownBy are found by KnownKey.
var KnownBy = Kind{Name: "known", purpose: keys.PurposeKnownRecord, version: 1, empty: empty[Known]}

// RemovedSubjects are tombstones, found by RemovedKey.
var RemovedSubjects = Kind{Name: "removed_subjects", purpose: keys.PurposeRemovedSubjectRecord, version: 1, empty: empty[Tombstone]}

// Stream is a signals.Stream.
type Stream signals.Stream

func (s *Stream) fields(c *codec, _ byte) {
	text(c, &s.ID)
	text(c, &s.ClientID)
	text(c, &s.Method)
	text(c, &s.Endpoint)
	text(c, &s.Authorization)
	texts(c, &s.Requested)
	c.flag(&s.AllRequested)
	text(c, &s.Description)
	text(c, &s.Status)
	text(c, &s.Reason)
	text(c, &s.By)
	c.time(&s.Created)
	c.time(&s.Changed)
	c.time(&s.Verified)
}

// Known is a subject.Known.
type Known subject.Known

func (k *Known) fields(c *codec, _ byte) {
	text(c, &k.Sub)
	text(c, &k.ClientID)
	c.flag(&k.Phone)
	c.time(&k.At)
}

// KnownKey is the length of the sub, the sub, the client and what it knows, so that those of
// one user are next to each other.
func KnownKey(k subject.Known) []byte {
	what := byte('u')
	if k.Phone {
		what = 'p'
	}
	return append(append(KnownPrefix(k.Sub), k.ClientID...), what)
}

// KnownPrefix is what the keys of all that know a user begin with.
func KnownPrefix(sub string) []byte { return prefixed(sub, "") }

// RemovedKey is the length of the client's ID, the ID and the keyed hash of a subject.
func RemovedKey(clientID string, subject [32]byte) []byte {
	return append(RemovedPrefix(clientID), subject[:]...)
}

// RemovedPrefix is what the keys of a client's removed subjects begin with.
func RemovedPrefix(clientID string) []byte { return prefixed(clientID, "") }

func prefixed(owner, rest string) []byte {
	k := make([]byte, 0, 2+len(owner)+len(rest)+33)
	k = binary.BigEndian.AppendUint16(k, uint16(len(owner)))
	k = append(k, owner...)
	return append(k, rest...)
}
