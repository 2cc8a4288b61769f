// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
)

// SigningKeys has one record, the whole set.
var SigningKeys = Kind{Name: "signing_keys", purpose: keys.PurposeSigningKeyRecord, version: 1, empty: empty[KeySet]}

// KeySet is the whole set: it changes as a whole.
type KeySet struct {
	Version uint64
	Keys    []keys.Record
}

func (s *KeySet) fields(c *codec, _ byte) {
	number(c, &s.Version)
	list(c, &s.Keys, keyFields)
}

func keyFields(c *codec, k *keys.Record) {
	text(c, &k.ID)
	text(c, &k.Algorithm)
	text(c, &k.State)
	c.time(&k.Created)
	c.time(&k.Activated)
	c.time(&k.Retired)
	c.bytes(&k.Public)
	c.bytes(&k.Sealed)
}
