// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/storage/record"
	"calleridp/truecaller"

	"go.etcd.io/bbolt"
)

// next are layouts after the released one, for tests: the first moves all deliveries into
// another bucket, the second moves them back and marks that.
func next(step func(string)) *layouts {
	move := func(from, to []byte) func(*txn) error {
		return func(t *txn) error {
			step("begin")
			into, err := t.tx.CreateBucketIfNotExists(to)
			if err != nil {
				return err
			}
			n := 0
			err = t.tx.Bucket(from).ForEach(func(k, v []byte) error {
				if n++; n == 150 {
					step("middle")
				}
				return into.Put(k, v)
			})
			if err != nil {
				return err
			}
			err = t.tx.DeleteBucket(from)
			step("end")
			return err
		}
	}
	moved := []byte("moved")
	return &layouts{oldest: schema, later: []migration{
		{"deliveries move away", move(deliveries.id, moved)},
		{"deliveries move back", move(moved, deliveries.id)},
	}}
}

// migrator opens a store with the next layouts, and is killed where it was told.
func migrator(at string) {
	path, point, _ := strings.Cut(at, " ")
	kill := func() { syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }
	n := 0
	o := Options{test: next(func(what string) {
		if what == "begin" {
			n++
		}
		if point == fmt.Sprint(what, n) {
			kill()
		}
		// The commit takes a few milliseconds: writing pages, fsync, the meta page, fsync.
		if after, ok := strings.CutPrefix(point, fmt.Sprint("commit", n, "+")); ok && what == "end" {
			d, _ := time.ParseDuration(after)
			time.AfterFunc(d, kill)
		}
	})}
	s, err := Open(path, childMaster(), o)
	if err != nil {
		panic(err)
	}
	s.Close()
	if strings.HasPrefix(point, "commit") {
		return // it was quicker
	}
	kill()
}

// A migration that is killed at any point leaves the layout before or the one after it,
// whole; the next start goes on; and the program before refuses what is newer, by name.
func TestMigrationIsKilled(t *testing.T) {
	made := filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, made, Options{NoSync: true})
	want := map[string]bool{}
	for i := range 300 {
		d := truecaller.Delivery{ID: fmt.Sprint("d", i), Received: time.Now()}
		if _, err := s.PutDelivery(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		want[d.ID] = true
	}
	if err := errors.Join(s.CreateClient(t.Context(), client.Client{ID: "shop"}), s.Close()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	has := func(s *Store) map[string]bool {
		t.Helper()
		all, err := s.Deliveries(t.Context(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, d := range all {
			got[d.ID] = true
		}
		return got
	}
	points := []string{"begin1", "middle1", "end1", "begin2", "middle2", "end2", "opened"}
	for _, after := range []string{"0s", "300us", "1ms", "2ms", "4ms"} {
		points = append(points, "commit1+"+after, "commit2+"+after)
	}
	path := filepath.Join(t.TempDir(), "store.db")
	for _, point := range points {
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		child(t, "migrator", path+" "+point).Run() // it is killed
		at := layoutAt(t, path)
		if strings.HasSuffix(point, "1") && at != schema || strings.HasSuffix(point, "2") && at != schema+1 || point == "opened" && at != schema+2 {
			t.Errorf("killed at %s: the layout is %d", point, at)
		}
		before, err := Open(path, testMaster(t), Options{})
		switch {
		case at == schema && err == nil:
			if got := has(before); !maps.Equal(got, want) {
				t.Errorf("killed at %s: the program before finds %d deliveries, want %d", point, len(got), len(want))
			}
			before.Close()
		case at == schema || !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), fmt.Sprintf("layout %d, this version knows up to %d", at, schema)):
			t.Errorf("killed at %s, layout %d: the program before says %v", point, at, err)
		}
		after := openAt(t, path, Options{test: next(func(string) {})})
		if got := has(after); !maps.Equal(got, want) {
			t.Errorf("killed at %s: %d deliveries afterwards, want %d", point, len(got), len(want))
		}
		intact(t, after)
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
		if at := layoutAt(t, path); at != schema+2 {
			t.Errorf("killed at %s: the layout afterwards is %d, want %d", point, at, schema+2)
		}
	}
}

func layoutAt(t *testing.T, path string) (at int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.View(func(tx *bbolt.Tx) error {
		at, err = strconv.Atoi(string(tx.Bucket(meta.id).Get(metaSchema)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// A migration that fails leaves the store as it was, under the wrong master key none runs,
// and a copy reads no older layout.
func TestMigrationFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	openAt(t, path, Options{}).Close()
	broken := errors.New("broken")
	failing := &layouts{oldest: schema, later: []migration{{"it fails", func(t *txn) error {
		return errors.Join(t.put(&clients, []byte("half"), never, (*record.Client)(&client.Client{ID: "half"})), broken)
	}}}}
	if _, err := Open(path, testMaster(t), Options{test: failing}); !errors.Is(err, broken) || !strings.Contains(err.Error(), "layout 3 (it fails)") {
		t.Errorf("a migration that fails: %v", err)
	}
	s := openAt(t, path, Options{})
	if all, err := s.Clients(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("it has left %v, %v", all, err)
	}
	s.Close()
	other, err := keys.NewMaster(bytes.Repeat([]byte{7}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	ran := false
	later := &layouts{oldest: schema, later: []migration{{"it succeeds", func(*txn) error { ran = true; return nil }}}}
	if _, err := Open(path, other, Options{test: later}); !errors.Is(err, ErrWrongMasterKey) || ran {
		t.Errorf("under another master key: %v, ran %v", err, ran)
	}
	if _, err := OpenSource(path, testMaster(t), Options{test: later}); !errors.Is(err, ErrOlderSchema) || !strings.Contains(err.Error(), "start a server of this version with it once") {
		t.Errorf("a copy of an older layout: %v", err)
	}
	if err := Migrate(path, testMaster(t), Options{test: later}); err != nil || !ran {
		t.Errorf("migrating: %v, ran %v", err, ran)
	}
	if _, err := Open(path, testMaster(t), Options{}); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("the version before: %v, want ErrNewerSchema", err)
	}
	if err := Migrate(path, testMaster(t), Options{}); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("migrating by the version before: %v, want ErrNewerSchema", err)
	}
}

// A store with a record of a version that the program does not know is refused at the
// start, by the kind's name; what was written once stays noted.
func TestOpenRefusesNewerRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	openAt(t, path, Options{}).Close()
	note := func(name string, version int) {
		changeIn(t, path, meta, func(b *bbolt.Bucket) error {
			text := b.Get(metaVersions)
			var lines [][]byte
			for line := range bytes.Lines(text) {
				if !bytes.HasPrefix(line, []byte(name+" ")) {
					lines = append(lines, line)
				}
			}
			return b.Put(metaVersions, append(bytes.Join(lines, nil), fmt.Sprintf("%s %d\n", name, version)...))
		})
	}
	note("clients", int(record.Clients.Reads())+1)
	_, err := Open(path, testMaster(t), Options{})
	want := fmt.Sprintf("records in clients of version %d, this version knows up to %d", record.Clients.Reads()+1, record.Clients.Reads())
	if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want ErrNewerSchema with %q", err, want)
	}
	note("clients", int(record.Clients.Reads()))
	note("later_kind", 3)
	openAt(t, path, Options{}).Close()
	s := openAt(t, path, Options{})
	var noted map[string]int
	s.db.View(func(tx *bbolt.Tx) error { noted = versionsOf(tx.Bucket(meta.id)); return nil })
	if noted["clients"] != int(record.Clients.Reads()) || noted["later_kind"] != 3 || noted["grants"] != int(record.Grants.Writes()) {
		t.Errorf("noted are %v", noted)
	}
}
