// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"

	"go.etcd.io/bbolt"
)

// used makes a store with branch pages, large values, free pages and more than one
// kind of record, and returns its file and the attempts in it.
func used(t *testing.T) (file []byte, attempts map[login.ID][]byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "used.db")
	s := openAt(t, path, Options{NoSync: true})
	ctx, now := t.Context(), time.Now()
	attempts = map[login.ID][]byte{}
	for i := range 300 {
		id := randomID()
		a := login.Attempt{
			ID:          login.ID(id),
			Correlation: [32]byte([]byte(id + id)),
			Request:     bytes.Repeat([]byte{byte(i)}, 20+i%7*100),
			Expires:     now.Add(time.Hour),
		}
		if i%100 == 50 {
			a.Request = make([]byte, 20<<10) // overflow pages
		}
		attempts[a.ID] = a.Request
		spend := limit.Spend{Lock: limit.Key{Kind: limit.Lock, ID: id}, LockFor: time.Hour}
		if err := s.CreateAttempt(ctx, a, spend, now); err != nil {
			t.Fatal(err)
		}
		d := truecaller.Delivery{ID: id, Received: now, Callback: truecaller.Callback{AccessToken: strings.Repeat("t", 500)}}
		if _, err := s.PutDelivery(ctx, d); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if err := s.DropDelivery(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.CreateClient(ctx, client.Client{ID: "shop"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, attempts
}

// spoiled changes a file in one of the ways in which disks and people do.
func spoiled(file []byte, random *rand.Rand) (what string, damaged []byte) {
	damaged = bytes.Clone(file)
	const page = 4096
	pages := len(file) / page
	switch random.IntN(7) {
	case 0:
		n := random.IntN(len(file))
		return fmt.Sprintf("cut off to %d", n), damaged[:n]
	case 1:
		n := random.IntN(pages) * page
		return fmt.Sprintf("cut off to %d", n), damaged[:n]
	case 2:
		p := random.IntN(pages)
		clear(damaged[p*page : (p+1)*page])
		return fmt.Sprintf("page %d is zero", p), damaged
	case 3:
		from, to := random.IntN(pages), random.IntN(pages)
		copy(damaged[to*page:(to+1)*page], file[from*page:(from+1)*page])
		return fmt.Sprintf("page %d instead of %d", from, to), damaged
	case 4: // in the header or the table of elements of a page
		at := random.IntN(pages)*page + random.IntN(120)
		damaged[at] ^= 1 << random.IntN(8)
		return fmt.Sprintf("a bit of byte %d", at), damaged
	case 5:
		for range 20 {
			damaged[random.IntN(len(damaged))] = byte(random.Uint32())
		}
		return "twenty bytes", damaged
	}
	at := random.IntN(len(damaged))
	damaged[at] ^= 1 << random.IntN(8)
	return fmt.Sprintf("a bit of byte %d", at), damaged
}

// A damaged store is refused with what to do, or serves: no panic, no value that
// was not stored. What it serves it serves also after another start.
func TestThreat_DamagedStoreIsRefusedOrServes(t *testing.T) {
	file, attempts := used(t)
	ctx := context.Background()
	dir := t.TempDir()
	refused, served := 0, 0
	for seed := range uint64(200) {
		what, damaged := spoiled(file, rand.New(rand.NewPCG(seed, 15)))
		path := filepath.Join(dir, fmt.Sprintf("%d.db", seed))
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		for start := range 2 {
			s, err := Open(path, testMaster(t), Options{NoSync: true})
			if err != nil {
				refused++
				known := errors.Is(err, ErrDamaged) || errors.Is(err, ErrForeignFile) || errors.Is(err, ErrWrongMasterKey) ||
					errors.Is(err, ErrNewerSchema) || errors.Is(err, ErrOlderSchema)
				if !known || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "restore") && !strings.Contains(err.Error(), "another file") {
					t.Fatalf("seed %d (%s), start %d: %v; want an error with the file and what to do", seed, what, start, err)
				}
				if start > 0 {
					t.Fatalf("seed %d (%s): it served, and the next start refuses it: %v", seed, what, err)
				}
				break
			}
			served++
			for id, request := range attempts {
				if a, err := s.Attempt(ctx, id); err == nil && !bytes.Equal(a.Request, request) {
					t.Fatalf("seed %d (%s): an attempt differs from what was stored", seed, what)
				}
			}
			for range 30 {
				id := randomID()
				a := login.Attempt{ID: login.ID(id), Correlation: [32]byte([]byte(id + id)), Request: make([]byte, 900), Expires: time.Now().Add(time.Hour)}
				if s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()) != nil {
					continue // a record that cannot be read, or a page
				}
				if _, err := s.Attempt(ctx, a.ID); err != nil {
					t.Fatalf("seed %d (%s): an attempt that was stored: %v", seed, what, err)
				}
			}
			s.Deliveries(ctx, 1000)
			s.sweep(ctx)
			s.Backup(ctx, anySize, io.Discard)
			if err := s.Close(); err != nil {
				t.Fatalf("seed %d (%s): closing: %v", seed, what, err)
			}
		}
		os.Remove(path)
		os.Remove(path + markerSuffix)
	}
	t.Logf("%d refused, %d starts served", refused, served)
	if refused < 40 || served < 40 {
		t.Errorf("%d refused and %d starts served: the damages are too much alike", refused, served)
	}
}

// Each of these makes bbolt panic, in a goroutine that nothing can recover.
func TestVerifyNamesTheDamage(t *testing.T) {
	file, _ := used(t)
	v := &verifier{file: bytes.NewReader(file), size: int64(len(file))}
	if _, err := v.findMeta(); err != nil {
		t.Fatal(err)
	}
	m := v.meta
	at := func(page uint64, offset int) int { return int(page)*int(m.pageSize) + offset }
	const branch = 1 // the flag of a page that leads to others
	leaf := m.root
	for binary.NativeEndian.Uint16(file[at(leaf, 8):])&branch != 0 {
		leaf = binary.NativeEndian.Uint64(file[at(leaf, pageHeader+8):])
	}
	reroot := func(b []byte, change func([]byte)) { // of both meta pages, with their checksums
		for _, page := range []uint64{0, 1} {
			body := b[at(page, pageHeader):at(page, pageHeader+metaSize)]
			change(body)
			binary.NativeEndian.PutUint64(body[56:], sumOf(body))
		}
	}
	for _, row := range []struct {
		what   string
		change func(b []byte) []byte
		says   string
		is     error
	}{
		{"empty", func(b []byte) []byte { return nil }, "not a calleridp store", ErrForeignFile},
		{"one byte short", func(b []byte) []byte { return b[:int64(m.end)*m.pageSize-1] }, "cut off", ErrDamaged},
		{"the second page alone is gone", func(b []byte) []byte { clear(b[4096:8192]); return b }, "", nil},
		{"both meta pages", func(b []byte) []byte { b[at(0, 70)]++; b[at(1, 70)]++; return b }, "neither meta page", ErrDamaged},
		{"a root behind the end", func(b []byte) []byte {
			reroot(b, func(m []byte) { binary.NativeEndian.PutUint64(m[16:], 1<<40) })
			return b
		}, "does not exist", ErrDamaged},
		{"a length that is not there", func(b []byte) []byte {
			reroot(b, func(m []byte) { binary.NativeEndian.PutUint64(m[40:], 1<<60) })
			return b
		}, "cut off", ErrDamaged},
		{"another id", func(b []byte) []byte { b[at(m.root, 0)]++; return b }, "says that it is page", ErrDamaged},
		{"no type", func(b []byte) []byte { b[at(m.root, 8)] = 0x40; return b }, "its type", ErrDamaged},
		{"too many elements", func(b []byte) []byte { b[at(m.root, 11)] = 0xff; return b }, "cannot have", ErrDamaged},
		{"a long overflow", func(b []byte) []byte { b[at(m.root, 15)] = 0xff; return b }, "goes on behind the end", ErrDamaged},
		{"a key outside", func(b []byte) []byte { b[at(leaf, pageHeader+7)] = 0xff; return b }, "outside", ErrDamaged},
		{"an empty key", func(b []byte) []byte { clear(b[at(leaf, pageHeader+8):at(leaf, pageHeader+12)]); return b }, "key of 0 bytes", ErrDamaged},
	} {
		t.Run(row.what, func(t *testing.T) {
			b := row.change(bytes.Clone(file))
			spare, err := verify(bytes.NewReader(b), int64(len(b)))
			switch {
			case row.is == nil:
				if err != nil || spare == nil {
					t.Errorf("got %v, %v; want that one meta page is unusable", spare, err)
				}
			case !errors.Is(err, row.is) || !strings.Contains(err.Error(), row.says):
				t.Errorf("got %v; want %q with %q", err, row.is, row.says)
			}
		})
	}
}

func sumOf(meta []byte) uint64 {
	sum := uint64(14695981039346656037)
	for _, b := range meta[:56] {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return sum
}

// What verify accepts of files that bbolt wrote: all of them.
func TestVerifyAcceptsWhatBboltWrites(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 16))
		path := filepath.Join(t.TempDir(), "any.db")
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: seed%2 == 0})
		if err != nil {
			t.Fatal(err)
		}
		for range 30 {
			err := db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte{byte('a' + random.IntN(3))})
				if err != nil {
					return err
				}
				if random.IntN(3) == 0 {
					if b, err = b.CreateBucketIfNotExists([]byte("nested")); err != nil {
						return err
					}
				}
				for range random.IntN(200) {
					key := fmt.Appendf(nil, "%d", random.IntN(500))
					if random.IntN(3) == 0 {
						err = b.Delete(key)
					} else {
						err = b.Put(key, make([]byte, random.IntN(1+random.IntN(9000))))
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if spare, err := verify(bytes.NewReader(file), int64(len(file))); spare != nil || err != nil {
				t.Fatalf("seed %d: %v, %v", seed, spare, err)
			}
		}
		db.Close()
	}
}

// An empty file, or one that vanished, is not a new deployment.
func TestThreat_VanishedStoreIsNoNewDeployment(t *testing.T) {
	for _, row := range []struct {
		what   string
		change func(path string) error
		want   error
		says   string
	}{
		{"gone", os.Remove, ErrGone, "restore it from a backup"},
		{"moved", func(path string) error { return os.Rename(path, path+".old") }, ErrGone, "put it back"},
		{"empty", func(path string) error { return os.Truncate(path, 0) }, ErrDamaged, "it is empty"},
		{"empty, in a new folder", func(path string) error {
			return errors.Join(os.Truncate(path, 0), os.Remove(path+markerSuffix))
		}, ErrDamaged, "it is empty"},
	} {
		t.Run(row.what, func(t *testing.T) {
			s := open(t, Options{})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := row.change(s.path); err != nil {
				t.Fatal(err)
			}
			_, err := Open(s.path, testMaster(t), Options{})
			if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), s.path) {
				t.Errorf("got %v; want %q with the path and %q", err, row.want, row.says)
			}
		})
	}
	t.Run("both deleted on purpose", func(t *testing.T) {
		s := open(t, Options{})
		s.Close()
		if err := errors.Join(os.Remove(s.path), os.Remove(s.path+markerSuffix)); err != nil {
			t.Fatal(err)
		}
		openAt(t, s.path, Options{})
	})
	t.Run("a backup in an empty folder", func(t *testing.T) {
		s := open(t, Options{})
		var copied bytes.Buffer
		if err := s.Backup(t.Context(), anySize, &copied); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		openAt(t, path, Options{}).Close()
		if _, err := os.Stat(path + markerSuffix); err != nil {
			t.Error(err)
		}
	})
	t.Run("killed while it was created", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path+".new", []byte("half a store"), 0o600); err != nil {
			t.Fatal(err)
		}
		openAt(t, path, Options{})
	})
}

// A file that is moved away, replaced or cut off under the running server takes no
// writes, and Healthy says so until it is back.
func TestThreat_StoreMovedAwayTakesNoWrites(t *testing.T) {
	ctx := context.Background()
	write := func(s *Store, id string) error {
		_, err := s.PutDelivery(ctx, truecaller.Delivery{ID: id, Received: time.Now()})
		return err
	}
	for _, row := range []struct {
		what         string
		change, undo func(path string) error
		want         error
	}{
		{"moved away", func(p string) error { return os.Rename(p, p+".old") }, func(p string) error { return os.Rename(p+".old", p) }, ErrGone},
		{"replaced", func(p string) error {
			return errors.Join(os.Rename(p, p+".old"), os.WriteFile(p, make([]byte, 1<<16), 0o600))
		}, func(p string) error { return os.Rename(p+".old", p) }, ErrGone},
		{"deleted", os.Remove, nil, ErrGone},
		{"cut off", func(p string) error { return os.Truncate(p, 8192) }, nil, ErrDamaged},
		{"emptied", func(p string) error { return os.Truncate(p, 0) }, nil, ErrDamaged},
	} {
		t.Run(row.what, func(t *testing.T) {
			s := open(t, Options{})
			for i := range 200 {
				if err := write(s, fmt.Sprint("d", i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Healthy(); err != nil {
				t.Fatal(err)
			}
			if err := row.change(s.path); err != nil {
				t.Fatal(err)
			}
			if err := s.Healthy(); !errors.Is(err, row.want) || !strings.Contains(err.Error(), s.path) {
				t.Errorf("healthy: got %v, want %v with the path", err, row.want)
			}
			if err := write(s, "lost"); !errors.Is(err, row.want) {
				t.Errorf("writing: got %v, want %v", err, row.want)
			}
			s.Deliveries(ctx, 1000) // reads fail, or read what is in memory; none ends the process
			if n := s.Stats().Failures; n != 1 {
				t.Errorf("%d failed commits are counted, want 1", n)
			}
			if row.undo == nil {
				return
			}
			if err := row.undo(s.path); err != nil {
				t.Fatal(err)
			}
			s.tryAgain(ctx)
			if err := errors.Join(s.Healthy(), write(s, "kept")); err != nil {
				t.Errorf("after it is back: %v", err)
			}
		})
	}
}

// A delivery that cannot be read hides no other. It is logged once, and gives way when
// Truecaller sends it again.
func TestThreat_DamagedDelivery(t *testing.T) {
	var log bytes.Buffer
	s := open(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx := context.Background()
	put := func(id string) {
		t.Helper()
		if held, err := s.PutDelivery(ctx, truecaller.Delivery{ID: id, Received: time.Now()}); err != nil || !held {
			t.Fatalf("held %v, %v", held, err)
		}
	}
	has := func(want int) {
		t.Helper()
		if got, err := s.Deliveries(ctx, 10); err != nil || len(got) != want {
			t.Errorf("%d deliveries, %v, want %d", len(got), err, want)
		}
	}
	put("1")
	put("2")
	err := s.db.Update(func(tx *bbolt.Tx) error {
		inbox := tx.Bucket(deliveries.id)
		return inbox.Put([]byte("1"), inbox.Get([]byte("2")))
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		has(1)
	}
	if n := strings.Count(log.String(), "a record cannot be read"); n != 1 {
		t.Errorf("%d lines about one record", n)
	}
	put("1")
	has(2)
}

// A number that leads to nobody gives nobody a new user: the sign-in fails.
func TestThreat_NumberThatLeadsToNobody(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	number, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	a := login.Attempt{ID: "a", Number: number, Expires: time.Now().Add(time.Minute)}
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	signIn := func(sub string) error {
		_, err := s.ApproveAttempt(ctx, a.ID, number, func(a login.Attempt, _ *subject.Person) (login.Approval, error) {
			return login.Approval{Attempt: a, Person: subject.Person{Sub: sub, Number: number}}, nil
		})
		return err
	}
	if err := signIn("asha"); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(people.id).Delete([]byte("asha")) }); err != nil {
		t.Fatal(err)
	}
	if err := signIn("new"); !errors.Is(err, record.ErrUnreadable) {
		t.Errorf("a new user for a number that was another one's: %v", err)
	}
}
