// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"calleridp/storage/record"
	"calleridp/truecaller"

	"go.etcd.io/bbolt"
)

// How long a start takes with a store of 250 MB that is not in the machine's
// memory: as bbolt opens it, which reads it in random order to find the free pages;
// and as Open does, which reads it once in order, verifies it, and opens it then.
func BenchmarkColdOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store.db")
	s := openAt(b, path, Options{NoSync: true})
	for s.Stats().Bytes < 250<<20 {
		err := s.write(b.Context(), func(t *txn) error {
			for range 1000 {
				d := truecaller.Delivery{ID: randomID(), Received: time.Now(), Callback: truecaller.Callback{AccessToken: strings.Repeat("t", 500)}}
				if err := t.put(&deliveries, []byte(d.ID), d.Received.Add(record.DeliveryKept), (*record.Delivery)(&d)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name string
		open func() (func() error, error)
	}{
		{"bbolt alone", func() (func() error, error) {
			db, err := bbolt.Open(path, 0o600, settings(path, Options{}))
			if err != nil {
				return nil, err
			}
			return db.Close, nil
		}},
		{"Open", func() (func() error, error) {
			s, err := Open(path, testMaster(b), Options{})
			if err != nil {
				return nil, err
			}
			return s.Close, nil
		}},
	} {
		for _, cold := range []bool{true, false} {
			name := way.name + ", warm"
			if cold {
				name = way.name + ", cold"
			}
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					if cold {
						b.StopTimer()
						evict(b, path)
						b.StartTimer()
					}
					end, err := way.open()
					if err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					end()
					b.StartTimer()
				}
			})
		}
	}
}

// evict takes a file out of the machine's memory.
func evict(t testing.TB, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	if _, _, e := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0); e != 0 {
		t.Fatal(e)
	}
}
