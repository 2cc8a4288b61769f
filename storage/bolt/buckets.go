// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"encoding/binary"
	"iter"
	"time"

	"calleridp/storage/record"

	"go.etcd.io/bbolt"
)

// never is the expiry of records that do not expire.
var never time.Time

// bucket holds the records of one kind, or the entries of an index.
type bucket struct {
	id   []byte
	kind *record.Kind // nil for an index, whose keys have no values
	mark byte         // stands for the bucket in the indexes; 0: it is in none, and its records do not expire
}

func of(kind *record.Kind, mark byte) bucket {
	return bucket{id: []byte(kind.Name), kind: kind, mark: mark}
}

func index(name string) bucket { return bucket{id: []byte(name)} }

// The buckets. Names and marks are on disk.
var (
	meta            = of(&record.Meta, 0)
	signingKeys     = of(&record.SigningKeys, 0)
	clients         = of(&record.Clients, 0)
	people          = of(&record.People, 0)
	deleted         = of(&record.Deleted, 0)
	personIndex     = index("person_index") // sub and session, grant or code
	numbers         = of(&record.Numbers, 0)
	limits          = of(&record.Limits, 'l')
	attempts        = of(&record.Attempts, 'a')
	correlations    = of(&record.Correlations, 0)
	forms           = of(&record.Forms, 0)
	browserAttempts = index("browser_attempts") // browser and attempt
	callbackSecrets = of(&record.CallbackSecrets, 0)
	deliveries      = of(&record.Deliveries, 'd')
	sessions        = of(&record.Sessions, 's')
	sessionIDs      = of(&record.SessionIDs, 0)
	codes           = of(&record.Codes, 'c')
	grants          = of(&record.Grants, 'g')
	sessionGrants   = index("session_grants") // sid and grant or code
	consents        = of(&record.Consents, 0)
	accessTokens    = of(&record.AccessTokens, 't')
	assertions      = of(&record.Assertions, 'j')
	initialTokens   = of(&record.InitialTokens, 'i')
	receivers       = of(&record.Receivers, 'r')
	notices         = of(&record.Notices, 'n')
	deviceRequests  = of(&record.DeviceRequests, 'v')
	apiKeys         = of(&record.APIKeys, 'k')
	requests        = of(&record.Requests, 'q')
	auditHeads      = of(&record.AuditHeads, 0)
	funnels         = of(&record.Funnel, 'f')
	streams         = of(&record.Streams, 0)
	known           = of(&record.KnownBy, 0)
	removedSubjects = of(&record.RemovedSubjects, 0)
	expiry          = index("expiry") // mark, expiry, key: see sweep.go
)

var buckets = []*bucket{
	&meta, &signingKeys, &clients, &people, &deleted, &personIndex, &numbers, &limits, &attempts, &correlations, &forms, &browserAttempts,
	&callbackSecrets, &deliveries, &sessions, &sessionIDs, &codes, &grants, &sessionGrants, &accessTokens, &consents, &assertions, &initialTokens,
	&receivers, &notices, &deviceRequests, &funnels, &apiKeys, &requests, &auditHeads, &streams, &known, &removedSubjects, &expiry,
}

// reader is a transaction that reads.
type reader struct {
	s   *Store
	tx  *bbolt.Tx
	now time.Time
}

// txn is a write transaction while it runs one operation.
type txn struct {
	reader
	writes int
}

// view returns what load reads in a transaction of its own. On an error it
// returns the zero T.
func view[T any](ctx context.Context, s *Store, load func(reader) (T, error)) (T, error) {
	var loaded, none T
	err := s.read(ctx, func(r reader) (err error) {
		loaded, err = load(r)
		return err
	})
	if err != nil {
		return none, err
	}
	return loaded, nil
}

// get reads a record, if it exists and has not expired.
func (r reader) get(b *bucket, key []byte, into record.Record) (found bool, err error) {
	value := r.tx.Bucket(b.id).Get(key)
	if value == nil || !r.alive(value) {
		return false, nil
	}
	err = r.open(b, key, value, into)
	return err == nil, err
}

// find is get, with an error for a record that is missing.
func (r reader) find(b *bucket, key []byte, into record.Record, missing error) error {
	found, err := r.get(b, key, into)
	if err == nil && !found {
		return missing
	}
	return err
}

// open reads a stored value, expired or not.
func (r reader) open(b *bucket, key, value []byte, into record.Record) error {
	return r.s.sealer.Open(b.kind, key, value, into)
}

// from reads at most so many records that have not expired, in the order of their keys,
// behind the key after.
func (r reader) from(b *bucket, after string, most int, each func(key, value []byte) error) error {
	cursor := r.tx.Bucket(b.id).Cursor()
	for k, v := cursor.Seek([]byte(after)); k != nil && most > 0; k, v = cursor.Next() {
		if string(k) <= after || !r.alive(v) {
			continue
		}
		most--
		if err := each(k, v); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether a record exists and has not expired.
func (r reader) has(b *bucket, key []byte) bool {
	value := r.tx.Bucket(b.id).Get(key)
	return value != nil && r.alive(value)
}

// alive reports whether a value has not expired.
func (r reader) alive(value []byte) bool { return !record.Expired(value, r.now) }

// put stores a record until it expires, in place of the one under its key.
//
// The expiry index has an entry for every record that expires, at its expiry or
// before. A record that is renewed needs no second entry: when the entry is due,
// the sweep moves it.
func (t *txn) put(b *bucket, key []byte, until time.Time, r record.Record) error {
	value := t.s.sealer.Seal(b.kind, key, until, r)
	stored := t.tx.Bucket(b.id)
	if b.mark != 0 {
		at := record.Expiry(value)
		if old := stored.Get(key); old == nil || record.Expiry(old) > at {
			if err := t.mark(&expiry, expiryKey(b, at, key)); err != nil {
				return err
			}
		}
	}
	t.writes++
	return stored.Put(key, value)
}

// mark adds an entry, a key without a value, to an index.
func (t *txn) mark(index *bucket, key []byte) error {
	t.writes++
	return t.tx.Bucket(index.id).Put(key, []byte{})
}

// del deletes a record, if it exists, and its entry in the expiry index. An entry
// at an earlier time is left to the sweep.
func (t *txn) del(b *bucket, key []byte) error {
	stored := t.tx.Bucket(b.id)
	value := stored.Get(key)
	if value == nil {
		return nil
	}
	t.writes++
	if b.mark != 0 {
		if err := t.tx.Bucket(expiry.id).Delete(expiryKey(b, record.Expiry(value), key)); err != nil {
			return err
		}
	}
	return stored.Delete(key)
}

// expiring returns the expiry and the key of every entry that the expiry index
// has for a bucket, in the order of their expiry. The keys are valid until the
// transaction writes.
func (r reader) expiring(b *bucket) iter.Seq2[int64, []byte] {
	return func(yield func(int64, []byte) bool) {
		cursor := r.tx.Bucket(expiry.id).Cursor()
		prefix := []byte{b.mark}
		for k, _ := cursor.Seek(prefix); len(k) > 9 && k[0] == b.mark; k, _ = cursor.Next() {
			if !yield(int64(binary.BigEndian.Uint64(k[1:9])), k[9:]) {
				return
			}
		}
	}
}

// expiryKey returns the key of an entry in the expiry index: the bucket's mark,
// the expiry, the record's key.
func expiryKey(b *bucket, at int64, key []byte) []byte {
	k := make([]byte, 0, 9+len(key))
	k = append(k, b.mark)
	k = binary.BigEndian.AppendUint64(k, uint64(at))
	return append(k, key...)
}
