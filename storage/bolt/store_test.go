// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/storage/record"
	"calleridp/truecaller"

	"go.etcd.io/bbolt"
)

// Every refusal has an error of its own and says what to do.
func TestOpenRefuses(t *testing.T) {
	other, err := keys.NewMaster(bytes.Repeat([]byte{7}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	change := func(t *testing.T, path string, f func(*bbolt.Bucket) error) {
		t.Helper()
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(meta.id)
			if err != nil {
				return err
			}
			return f(b)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		master  *keys.Master
		want    error
		says    string
	}{
		{"open elsewhere", func(t *testing.T, path string) { openAt(t, path, Options{}) }, testMaster(t), ErrInUse, "stop that one"},
		{"another master key", func(t *testing.T, path string) { openAt(t, path, Options{}).Close() }, other, ErrWrongMasterKey, "restore that key"},
		{"a newer layout", func(t *testing.T, path string) {
			openAt(t, path, Options{}).Close()
			change(t, path, func(b *bbolt.Bucket) error { return b.Put(metaSchema, []byte("3")) })
		}, testMaster(t), ErrNewerSchema, "restore a backup"},
		{"an older layout", func(t *testing.T, path string) {
			openAt(t, path, Options{}).Close()
			change(t, path, func(b *bbolt.Bucket) error { return b.Put(metaSchema, []byte("1")) })
		}, testMaster(t), ErrOlderSchema, "move the file away"},
		{"no layout", func(t *testing.T, path string) {
			change(t, path, func(b *bbolt.Bucket) error { return nil })
		}, testMaster(t), ErrForeignFile, "layout"},
		{"another program's database", func(t *testing.T, path string) {
			change(t, path, func(b *bbolt.Bucket) error {
				if _, err := b.Tx().CreateBucket([]byte("theirs")); err != nil {
					return err
				}
				return b.Tx().DeleteBucket(meta.id)
			})
		}, testMaster(t), ErrForeignFile, "name another file"},
		{"no database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 2000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, testMaster(t), ErrForeignFile, "backup"},
		{"no folder", func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}, testMaster(t), os.ErrNotExist, "store.db"},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "store.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			row.prepare(t, path)
			s, err := Open(path, row.master, Options{})
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v; want %q, the path and %q", err, row.want, row.says)
			}
		})
	}
}

// Every kind of record has a bucket of its own, which is in the expiry index if
// and only if its records expire.
func TestKindsHaveBuckets(t *testing.T) {
	of := map[*record.Kind]*bucket{}
	for _, b := range buckets {
		if b.kind != nil {
			of[b.kind] = b
		}
	}
	for _, kind := range record.Kinds() {
		b := of[kind]
		switch {
		case b == nil:
			t.Errorf("%s has no bucket", kind.Name)
		case string(b.id) != kind.Name || (b.mark != 0) != kind.Expires():
			t.Errorf("%s: got bucket %s with mark %q, want its name, and a mark: %v", kind.Name, b.id, b.mark, kind.Expires())
		}
	}
}

func TestOpenMakesAPrivateFile(t *testing.T) {
	s := open(t, Options{})
	info, err := os.Stat(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// Open creates a bucket that a later version of the same layout adds.
func TestOpenAddsBuckets(t *testing.T) {
	s := open(t, Options{})
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(accessTokens.id) })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.path, Options{})
	if err := s.DropAccessToken(context.Background(), [32]byte{}); err != nil {
		t.Error(err)
	}
}

// A backup contains every earlier write, also while other goroutines write.
func TestBackup(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	if err := s.CreateClient(ctx, client.Client{ID: "before"}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			d := truecaller.Delivery{ID: string(rune('a' + i%26)), Received: time.Now(), Callback: truecaller.Callback{State: strings.Repeat("x", i%5000)}}
			if _, err := s.PutDelivery(ctx, d); err != nil {
				t.Error(err)
			}
			if err := s.DropDelivery(ctx, d.ID); err != nil {
				t.Error(err)
			}
		}
	})
	for range 5 {
		var copied bytes.Buffer
		if err := s.Backup(ctx, anySize, &copied); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		restored := openAt(t, path, Options{})
		if _, err := restored.Client(ctx, "before"); err != nil {
			t.Error(err)
		}
		intact(t, restored)
	}
	close(stop)
	wg.Wait()

	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Backup(ended, anySize, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a backup whose context has ended: %v", err)
	}
}

// intact checks the file's structure, and that the expiry index has an entry for
// every record that expires, at its expiry or before.
func intact(t testing.TB, s *Store) {
	t.Helper()
	err := s.db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		covered := map[string]bool{}
		r := reader{s: s, tx: tx, now: time.Now().AddDate(200, 0, 0)}
		for _, e := range r.due(1 << 30) {
			if v := tx.Bucket(e.of.id).Get(e.key); v != nil && record.Expiry(v) >= e.expiry {
				covered[string(e.of.id)+string(e.key)] = true
			}
		}
		for _, b := range buckets {
			if b.mark == 0 {
				continue
			}
			tx.Bucket(b.id).ForEach(func(k, _ []byte) error {
				if !covered[string(b.id)+string(k)] {
					t.Errorf("a record in %s is not in the expiry index", b.id)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A value does not open in another place, with another expiry, or after a change.
func TestSealedInPlace(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	now := time.Now()
	for _, id := range []string{"a", "b"} {
		if _, err := s.PutDelivery(ctx, truecaller.Delivery{ID: id, Received: now}); err != nil {
			t.Fatal(err)
		}
	}
	var value []byte
	s.db.View(func(tx *bbolt.Tx) error {
		value = bytes.Clone(tx.Bucket(deliveries.id).Get([]byte("a")))
		return nil
	})
	read := func(b *bucket, key string, value []byte) (found bool, err error) {
		t.Helper()
		err = s.write(ctx, func(t *txn) error {
			t.writes++
			return t.tx.Bucket(b.id).Put([]byte(key), value)
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.read(ctx, func(r reader) (err error) {
			found, err = r.get(b, []byte(key), &record.Delivery{})
			return err
		})
		return found, err
	}
	if found, err := read(&deliveries, "a", value); !found || err != nil {
		t.Fatalf("as it was: %v, %v", found, err)
	}
	changed := func(i int, by byte) []byte {
		v := bytes.Clone(value)
		v[i] += by
		return v
	}
	for _, row := range []struct {
		name   string
		bucket *bucket
		key    string
		value  []byte
	}{
		{"another key", &deliveries, "b", value},
		{"another bucket", &attempts, "a", value},
		{"another version", &deliveries, "a", changed(0, 1)},
		{"a later expiry", &deliveries, "a", changed(4, 1)},
		{"a changed byte", &deliveries, "a", changed(len(value)-20, 1)},
		{"cut short", &deliveries, "a", value[:len(value)-1]},
		{"only a header", &deliveries, "a", value[:9]},
	} {
		if found, err := read(row.bucket, row.key, row.value); found || !errors.Is(err, record.ErrUnreadable) {
			t.Errorf("%s: found %v, error %v", row.name, found, err)
		}
	}
	// A value without a whole header has expired; the sweep deletes it.
	if found, err := read(&deliveries, "a", value[:5]); found || err != nil {
		t.Errorf("less than a header: found %v, error %v", found, err)
	}
}

// The file has no private data in the clear (invariants 8 and 10).
func TestNothingInTheClear(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	a := signIn(t, s, "46701740605")
	if _, err := s.PutDelivery(ctx, truecaller.Delivery{ID: "d", Received: time.Now(), Callback: truecaller.Callback{
		RequestID: "request-of-truecaller", State: "our-state-in-the-clear", AccessToken: "bearer-of-truecaller"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.ReplaceSigningKeys(ctx, []keys.Record{{ID: "k", Sealed: []byte("sealed-private-part")}}, 0); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Person(ctx, a.Sub); err != nil || p.Profile.FirstName != "Asha-in-the-clear" {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"46701740605", "70174060", "request-of-truecaller", "our-state", "bearer-of", "Asha-in", "sealed-private", "192.0.2.7", "sealed request", "shop.example"} {
		if bytes.Contains(file, []byte(secret)) {
			t.Errorf("%q is in the file", secret)
		}
	}
}

func TestInboxSize(t *testing.T) {
	s := open(t, Options{})
	size := func(want int) {
		t.Helper()
		if n, err := s.InboxSize(t.Context()); err != nil || n != want {
			t.Errorf("%d deliveries, %v; want %d", n, err, want)
		}
	}
	put := func(id string) {
		if _, err := s.PutDelivery(t.Context(), truecaller.Delivery{ID: id, Received: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	size(0)
	put("one")
	put("two")
	put("two")
	size(2)
	if err := s.DropDelivery(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	put("three") // commits the dropped delivery, too
	size(2)
	s.Close()
	if _, err := s.InboxSize(t.Context()); err == nil {
		t.Error("a closed store has a size")
	}
}
