// SPDX-License-Identifier: Apache-2.0

// Package record defines what every engine stores: each kind of record as bytes,
// sealed under the master key, and the keyed hashes by which records are found.
// It knows no database.
//
//	record.go   kinds, and encoding a record
//	seal.go     the stored value: header and seal
//	codec.go    the fields of a record as bytes
//	damage.go   records that cannot be read, in the log
//	the rest    one file a noun, with the same names as the engines' files
//
// A record type is the domain's type with one more method, so an engine converts
// a pointer and stores it:
//
//	value := sealer.Seal(&record.Grants, key, g.Expires, (*record.Grant)(&g))
//	err := sealer.Open(&record.Grants, key, value, (*record.Grant)(&g))
package record

import (
	"errors"
	"time"

	"calleridp/keys"
)

// Record is a value of one kind. Only this package defines records.
type Record interface {
	// fields visits every field in order, to write or to read it. Its version is
	// that of the stored bytes when reading, and the kind's when writing.
	fields(c *codec, version byte)
}

// Kind is one kind of record. Its name and its version are part of stored
// values.
//
// A field is added by raising the kind's version and visiting the field only
// from that version on:
//
//	if version >= 2 {
//		text(c, &s.Added)
//	}
//
// While servers are upgraded one after the other, those of the version before read what
// the new ones write. So a program reads a version one release before any writes it:
// that release has it as reads, and the next one raises version.
type Kind struct {
	Name    string
	purpose keys.Purpose // of the key that seals it, and no other kind
	version byte         // the version that Seal writes
	reads   byte         // the newest that Open reads, if it is not version
	expires bool
	follows bool
	empty   func() Record
}

// New returns an empty record of this kind, to open a stored value into.
func (k *Kind) New() Record { return k.empty() }

// Follows reports whether records of this kind say nothing that those of another kind do
// not say: they are an index, which an engine may have in another form.
func (k *Kind) Follows() bool { return k.follows }

func empty[T any, P interface {
	*T
	Record
}]() Record {
	return P(new(T))
}

// newest returns the newest version that Open reads.
func (k *Kind) newest() byte { return max(k.version, k.reads) }

// Writes returns the version of this kind that Seal writes.
func (k *Kind) Writes() byte { return k.version }

// Reads returns the newest version of this kind that Open reads.
func (k *Kind) Reads() byte { return k.newest() }

// Expires reports whether records of this kind expire.
func (k *Kind) Expires() bool { return k.expires }

// Kinds returns every kind of record.
func Kinds() []*Kind {
	return []*Kind{
		&Meta, &SigningKeys, &Clients, &People, &Deleted, &Numbers, &Limits, &Attempts, &Correlations, &Forms,
		&CallbackSecrets, &Deliveries, &Sessions, &SessionIDs, &Codes, &Grants, &Consents, &AccessTokens, &Assertions,
		&InitialTokens, &Receivers, &Notices, &DeviceRequests, &Funnel, &APIKeys, &Requests, &AuditHeads,
		&Streams, &KnownBy, &RemovedSubjects,
	}
}

// Meta holds what is true of the whole store (Text).
var Meta = Kind{Name: "meta", purpose: keys.PurposeMetaRecord, version: 1, empty: empty[Text]}

// IssuerKey is the key in Meta of the issuer to which the store belongs.
var IssuerKey = []byte("issuer")

// RestoredKey is the key in Meta of when the backup was made that the store was restored
// from, and when it was restored (both RFC 3339). The first server that uses it takes it out.
var RestoredKey = []byte("restored")

// Text is a record of one text, for example the id to which an index leads.
type Text string

func (t *Text) fields(c *codec, _ byte) { text(c, t) }

// Hash is a record of one hash.
type Hash [32]byte

func (h *Hash) fields(c *codec, _ byte) { hash(c, h) }

// Tombstone is a record without fields.
type Tombstone struct{}

func (*Tombstone) fields(*codec, byte) {}

// ErrFormat says that bytes are not a record of the expected kind.
var ErrFormat = errors.New("the record does not have the expected format")

// Encode returns r as bytes in the current version of its kind.
func Encode(k *Kind, r Record) []byte { return encode(k, r, 0) }

func encode(k *Kind, r Record, shift time.Duration) []byte {
	c := codec{out: make([]byte, 0, 512), shift: shift}
	r.fields(&c, k.version)
	return c.out
}

// decode reads r from bytes that Encode returned in this version of its kind.
func decode(plain []byte, version byte, r Record, shift time.Duration) error {
	c := codec{reading: true, in: plain, texts: string(plain), shift: shift}
	r.fields(&c, version)
	if c.err == nil && c.at < len(c.in) {
		return ErrFormat
	}
	return c.err
}
