package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"calleridp/keys"

	"go.etcd.io/bbolt"
)

// A value on disk is a header, then the record, sealed:
//
//	1 byte    recordVersion
//	8 bytes   the end, Unix nanoseconds, big endian; 0: it has none
//	          nonce, ciphertext, tag
//
// The seal covers the bucket, the key and the header, so that a value means
// nothing anywhere else and cannot be kept beyond its end.
const (
	recordVersion = 1
	headerSize    = 9
)

// never is the end of what has none.
var never time.Time

// bucket is one kind of record.
type bucket struct {
	id      []byte
	purpose keys.Purpose // every kind is sealed under a key of its own
	index   byte         // marks it in the expiry index; 0: its records have no end
}

func newBucket(name string, index byte) bucket {
	return bucket{id: []byte(name), purpose: keys.Purpose("bolt/" + name), index: index}
}

// The buckets. Names and marks are on disk.
var (
	meta            = newBucket("meta", 0)
	signingKeys     = newBucket("signing_keys", 0)
	clients         = newBucket("clients", 0)
	people          = newBucket("people", 0)           // sub
	deleted         = newBucket("deleted", 0)          // keyed hash of a deleted person's sub, without fields
	personIndex     = newBucket("person_index", 0)     // sub and session, grant or code, without values
	numbers         = newBucket("numbers", 0)          // keyed hash of the number: sub
	limits          = newBucket("limits", 'l')         // keyed hash of the limit's key: lock or budget
	attempts        = newBucket("attempts", 'a')       // id
	correlations    = newBucket("correlations", 0)     // SHA-256 of the state: attempt's id
	callbackSecrets = newBucket("callback_secrets", 0) // Truecaller app
	deliveries      = newBucket("deliveries", 'd')     // id
	sessions        = newBucket("sessions", 's')       // SHA-256 of the cookie's secret
	sessionIDs      = newBucket("session_ids", 0)      // sid: SHA-256 of the cookie's secret
	codes           = newBucket("codes", 'c')          // SHA-256 of the code
	grants          = newBucket("grants", 'g')         // id
	sessionGrants   = newBucket("session_grants", 0)   // sid and grant or code, without values
	consents        = newBucket("consents", 0)         // sub and client
	accessTokens    = newBucket("access_tokens", 't')  // SHA-256 of the token
	expiry          = newBucket("expiry", 0)           // mark, end, key, without values: see sweep.go
)

var buckets = []*bucket{&meta, &signingKeys, &clients, &people, &deleted, &personIndex, &numbers, &limits, &attempts, &correlations,
	&callbackSecrets, &deliveries, &sessions, &sessionIDs, &codes, &grants, &sessionGrants, &accessTokens, &consents, &expiry}

// reader is a transaction, as far as it reads.
type reader struct {
	s   *Store
	tx  *bbolt.Tx
	now time.Time
}

// txn is a write transaction while one operation runs in it.
type txn struct {
	reader
	writes int
}

// get reads a record, if it is there and its end has not come.
func (r reader) get(b *bucket, key []byte, fields func(*codec)) (found bool, err error) {
	value := r.tx.Bucket(b.id).Get(key)
	if value == nil || !r.alive(value) {
		return false, nil
	}
	_, err = r.open(b, key, value, fields)
	return err == nil, err
}

// open unseals and decodes a value. It returns the record's bytes, too.
func (r reader) open(b *bucket, key, value []byte, fields func(*codec)) (plain []byte, err error) {
	if len(value) < headerSize || value[0] != recordVersion {
		return nil, unreadable(b, errFormat)
	}
	plain, err = r.s.master.Open(b.purpose, value[headerSize:], place(b, key, value[:headerSize]))
	if err != nil {
		return nil, unreadable(b, err)
	}
	if err := decode(plain, fields); err != nil {
		return nil, unreadable(b, err)
	}
	return plain, nil
}

// errUnreadable says that a record is there and cannot be read.
var errUnreadable = errors.New("cannot be read")

func unreadable(b *bucket, cause error) error {
	return fmt.Errorf("bolt: a record in %s %w: %w", b.id, errUnreadable, cause)
}

// has says whether a record is there and its end has not come.
func (r reader) has(b *bucket, key []byte) bool {
	value := r.tx.Bucket(b.id).Get(key)
	return value != nil && r.alive(value)
}

// alive says whether the end of a value has not come.
func (r reader) alive(value []byte) bool {
	end := endOf(value)
	return end == 0 || end > r.now.UnixNano()
}

// put keeps a record until its end, instead of the one that is there.
//
// The expiry index has an entry for every record with an end, at that time or
// before. So a record that is renewed needs no second entry: the sweep moves the
// entry when it comes to it.
func (t *txn) put(b *bucket, key []byte, until time.Time, fields func(*codec)) error {
	return t.putPlain(b, key, until, encode(fields))
}

func (t *txn) putPlain(b *bucket, key []byte, until time.Time, plain []byte) error {
	var header [headerSize]byte
	header[0] = recordVersion
	end := int64(0)
	if b.index != 0 {
		end = nanoseconds(until)
		binary.BigEndian.PutUint64(header[1:], uint64(end))
	}
	kept := t.tx.Bucket(b.id)
	if b.index != 0 {
		if old := kept.Get(key); old == nil || endOf(old) > end {
			if err := t.mark(&expiry, expiryKey(b, end, key)); err != nil {
				return err
			}
		}
	}
	t.writes++
	return kept.Put(key, append(header[:], t.s.master.Seal(b.purpose, plain, place(b, key, header[:]))...))
}

// mark puts a key without a value.
func (t *txn) mark(b *bucket, key []byte) error {
	t.writes++
	return t.tx.Bucket(b.id).Put(key, []byte{})
}

// del deletes a record, if it is there, and its entry in the expiry index. An
// entry at an earlier time is left to the sweep.
func (t *txn) del(b *bucket, key []byte) error {
	kept := t.tx.Bucket(b.id)
	value := kept.Get(key)
	if value == nil {
		return nil
	}
	t.writes++
	if b.index != 0 {
		if err := t.tx.Bucket(expiry.id).Delete(expiryKey(b, endOf(value), key)); err != nil {
			return err
		}
	}
	return kept.Delete(key)
}

// endOf is the end in a value's header. What is too short to have one has been
// over for long; open says what is wrong with it.
func endOf(value []byte) int64 {
	if len(value) < headerSize {
		return 1
	}
	return int64(binary.BigEndian.Uint64(value[1:headerSize]))
}

// nanoseconds is the Unix time of an end. An end that was never set is long
// past: what has an end must not live for ever by mistake.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.Year() < 1971:
		return 1
	case t.Year() > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

func place(b *bucket, key, header []byte) []byte {
	ad := make([]byte, 0, 128)
	ad = append(ad, b.id...)
	ad = append(ad, 0)
	ad = append(ad, key...)
	return append(ad, header...)
}

func expiryKey(b *bucket, end int64, key []byte) []byte {
	k := make([]byte, 0, 9+len(key))
	k = append(k, b.index)
	k = binary.BigEndian.AppendUint64(k, uint64(end))
	return append(k, key...)
}
