package bolt

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"calleridp/keys"

	bolt "go.etcd.io/bbolt"
)

// A value on disk: one byte of version, eight of expiry (Unix milliseconds, 0
// for never), then the record as JSON, sealed. The seal covers bucket, key and
// those nine bytes.
const (
	version    = 1
	headerSize = 9
)

const sealPurpose keys.Purpose = "bolt record"

var errMissing = errors.New("bolt: no such record")

// reader is a transaction that can read.
type reader struct {
	s   *Store
	tx  *bolt.Tx
	now time.Time
}

func (r reader) bucket(name []byte) *bolt.Bucket { return r.tx.Bucket(name) }

// get reads a record into v, or returns errMissing when it is not there or its
// time is over.
func (r reader) get(bucket, key []byte, v any) error {
	return r.open(bucket, key, r.bucket(bucket).Get(key), v)
}

func (r reader) open(bucket, key, value []byte, v any) error {
	if value == nil {
		return errMissing
	}
	if len(value) < headerSize || value[0] != version {
		return fmt.Errorf("bolt: a record in %s has an unknown format", bucket)
	}
	if expires := expiry(value); expires != 0 && expires <= r.now.UnixMilli() {
		return errMissing
	}
	plain, err := r.s.master.Open(sealPurpose, value[headerSize:], sealedAt(bucket, key, value[:headerSize]))
	if err != nil {
		return fmt.Errorf("bolt: a record in %s: %w", bucket, err)
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("bolt: a record in %s: %w", bucket, err)
	}
	return nil
}

// put keeps v under key until expires, zero for ever.
func (t *txn) put(bucket, key []byte, v any, expires time.Time) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("bolt: %s: %w", bucket, err)
	}
	header := make([]byte, headerSize, headerSize+len(plain)+64)
	header[0] = version
	if !expires.IsZero() {
		binary.BigEndian.PutUint64(header[1:], uint64(expires.UnixMilli()))
		if err := t.bucket(bExpiry).Put(expiryKey(expires.UnixMilli(), bucket, key), nil); err != nil {
			return err
		}
	}
	t.writes++
	sealed := t.s.master.Seal(sealPurpose, plain, sealedAt(bucket, key, header))
	return t.bucket(bucket).Put(key, append(header, sealed...))
}

// drop deletes a record; an absent one is no error. Its entry in the expiry
// index is found to be stale when its time comes.
func (t *txn) drop(bucket, key []byte) error {
	t.writes++
	return t.bucket(bucket).Delete(key)
}

func expiry(value []byte) int64 { return int64(binary.BigEndian.Uint64(value[1:headerSize])) }

func sealedAt(bucket, key, header []byte) []byte {
	ad := make([]byte, 0, len(bucket)+1+len(key)+headerSize)
	ad = append(ad, bucket...)
	ad = append(ad, 0)
	ad = append(ad, key...)
	return append(ad, header[:headerSize]...)
}

// expiryKey sorts by time: eight bytes of time, the bucket, a zero, the key.
func expiryKey(ms int64, bucket, key []byte) []byte {
	k := make([]byte, 8, 8+len(bucket)+1+len(key))
	binary.BigEndian.PutUint64(k, uint64(ms))
	k = append(k, bucket...)
	k = append(k, 0)
	return append(k, key...)
}
