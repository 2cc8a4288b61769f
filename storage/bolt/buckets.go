package bolt

import (
	"encoding/binary"
	"time"

	"calleridp/storage/record"

	"go.etcd.io/bbolt"
)

// never is the end of what has none.
var never time.Time

// bucket is where records of one kind are, or an index.
type bucket struct {
	id   []byte
	kind *record.Kind // nil in an index, which has keys without values
	mark byte         // marks the bucket in the indexes; 0: it is in none, and its records do not expire
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
	callbackSecrets = of(&record.CallbackSecrets, 0)
	deliveries      = of(&record.Deliveries, 'd')
	sessions        = of(&record.Sessions, 's')
	sessionIDs      = of(&record.SessionIDs, 0)
	codes           = of(&record.Codes, 'c')
	grants          = of(&record.Grants, 'g')
	sessionGrants   = index("session_grants") // sid and grant or code
	consents        = of(&record.Consents, 0)
	accessTokens    = of(&record.AccessTokens, 't')
	expiry          = index("expiry") // mark, expiry, key: see sweep.go
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

// get reads a record, if it is there and has not expired.
func (r reader) get(b *bucket, key []byte, into record.Record) (found bool, err error) {
	value := r.tx.Bucket(b.id).Get(key)
	if value == nil || !r.alive(value) {
		return false, nil
	}
	err = r.open(b, key, value, into)
	return err == nil, err
}

// open reads a stored value, expired or not.
func (r reader) open(b *bucket, key, value []byte, into record.Record) error {
	return r.s.sealer.Open(b.kind, key, value, into)
}

// has says whether a record is there and its end has not come.
func (r reader) has(b *bucket, key []byte) bool {
	value := r.tx.Bucket(b.id).Get(key)
	return value != nil && r.alive(value)
}

// alive says whether a value has not expired.
func (r reader) alive(value []byte) bool { return !record.Expired(value, r.now) }

// put keeps a record until its end, instead of the one that is there.
//
// The expiry index has an entry for every record with an end, at that time or
// before. So a record that is renewed needs no second entry: the sweep moves the
// entry when it comes to it.
func (t *txn) put(b *bucket, key []byte, until time.Time, r record.Record) error {
	value := t.s.sealer.Seal(b.kind, key, until, r)
	kept := t.tx.Bucket(b.id)
	if b.mark != 0 {
		end := record.Expiry(value)
		if old := kept.Get(key); old == nil || record.Expiry(old) > end {
			if err := t.mark(&expiry, expiryKey(b, end, key)); err != nil {
				return err
			}
		}
	}
	t.writes++
	return kept.Put(key, value)
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
	if b.mark != 0 {
		if err := t.tx.Bucket(expiry.id).Delete(expiryKey(b, record.Expiry(value), key)); err != nil {
			return err
		}
	}
	return kept.Delete(key)
}

func expiryKey(b *bucket, end int64, key []byte) []byte {
	k := make([]byte, 0, 9+len(key))
	k = append(k, b.mark)
	k = binary.BigEndian.AppendUint64(k, uint64(end))
	return append(k, key...)
}
