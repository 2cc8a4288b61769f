// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"calleridp/keys"
)

// A stored value is a header, then the sealed record:
//
//	1 byte    the version of the kind
//	8 bytes   the expiry in Unix nanoseconds, big endian; 0: it does not expire
//	          nonce, ciphertext, tag
//
// The seal covers the kind, the key and the header. A value moved to another
// place, or given another expiry, does not open.
const headerSize = 9

// ErrUnreadable says that a value is stored and cannot be read.
var ErrUnreadable = errors.New("cannot be read")

// ErrNewer says why a value is ErrUnreadable: a newer version of the program
// wrote it.
var ErrNewer = errors.New("it was written by a newer version of calleridp")

// Sealer seals and opens records under the master key. It may be used from many
// goroutines.
type Sealer struct {
	master *keys.Master
	ahead  func() time.Duration // see In; nil: nothing
}

// NewSealer returns a Sealer for the master key.
func NewSealer(master *keys.Master) Sealer { return Sealer{master: master} }

// In returns a Sealer whose stored times are those of a clock that is ahead of this
// process's by so much: Seal makes the times of a record that clock's, and Open makes them
// this process's again. Expiry and Expired are about what is stored.
func (s Sealer) In(ahead func() time.Duration) Sealer {
	s.ahead = ahead
	return s
}

func (s Sealer) shift() time.Duration {
	if s.ahead == nil {
		return 0
	}
	return s.ahead()
}

// Fingerprint identifies the master key.
func (s Sealer) Fingerprint() string { return s.master.Fingerprint() }

// Seal returns the value to store for r under this key. If the kind does not
// expire, until is ignored.
func (s Sealer) Seal(k *Kind, key []byte, until time.Time, r Record) []byte {
	header := make([]byte, headerSize)
	header[0] = k.version
	shift := s.shift()
	if k.expires {
		binary.BigEndian.PutUint64(header[1:], uint64(nanoseconds(until.Add(shift))))
	}
	return append(header, s.master.Seal(k.purpose, encode(k, r, shift), place(k, key, header))...)
}

// Open reads a stored value into r. Its errors are ErrUnreadable.
func (s Sealer) Open(k *Kind, key, value []byte, r Record) error {
	if len(value) < headerSize {
		return unreadable(k, ErrFormat)
	}
	version := value[0]
	plain, err := s.master.Open(k.purpose, value[headerSize:], place(k, key, value[:headerSize]))
	if err != nil {
		return unreadable(k, err)
	}
	switch { // the version is sealed, so damage does not look like a newer one
	case version == 0:
		return unreadable(k, ErrFormat)
	case version > k.newest():
		return unreadable(k, fmt.Errorf("%w (record version %d, this one knows up to %d); start that version again, or restore a backup from before the upgrade",
			ErrNewer, version, k.newest()))
	}
	if err := decode(plain, version, r, s.shift()); err != nil {
		return unreadable(k, err)
	}
	return nil
}

// Digest returns a keyed hash of a record that Open has read from this value: the same in
// every engine, and under every nonce with which the record was sealed.
func (s Sealer) Digest(k *Kind, key, value []byte, r Record) [32]byte {
	return s.master.MAC(keys.PurposeCopyDigest, []byte(k.Name), key, value[1:headerSize], Encode(k, r))
}

func unreadable(k *Kind, cause error) error {
	return fmt.Errorf("record: a record in %s %w: %w", k.Name, ErrUnreadable, cause)
}

// place is what a value's seal covers besides the record.
func place(k *Kind, key, header []byte) []byte {
	ad := make([]byte, 0, 128)
	ad = append(ad, k.Name...)
	ad = append(ad, 0)
	ad = append(ad, key...)
	return append(ad, header...)
}

// Expiry returns when a stored value expires, in Unix nanoseconds; 0: it does
// not. A value that is too short for a header expired long ago; Open says what
// is wrong with it.
func Expiry(value []byte) int64 {
	if len(value) < headerSize {
		return 1
	}
	return int64(binary.BigEndian.Uint64(value[1:headerSize]))
}

// Expired reports whether a stored value has expired.
func Expired(value []byte, now time.Time) bool {
	expiry := Expiry(value)
	return expiry != 0 && expiry <= now.UnixNano()
}

// nanoseconds returns an expiry as Unix time. An expiry that was never set is
// long past: a record that expires must not stay forever by mistake.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.Year() < 1971:
		return 1
	case t.Year() > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}
