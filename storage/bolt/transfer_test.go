// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/storage/record"
	"calleridp/storage/storagetest"
	"calleridp/storage/transfer"

	"go.etcd.io/bbolt"
)

// usedAt makes a store with an attempt, and closes it.
func usedAt(t *testing.T, path string) login.Attempt {
	t.Helper()
	s := openAt(t, path, Options{})
	a := storagetest.Filled[login.Attempt](time.Now())
	a.Expires = time.Now().Add(time.Hour)
	err := errors.Join(s.PinIssuer(t.Context(), "https://a.example"), s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()), s.Close())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// changeIn changes a bucket of a store that is closed.
func changeIn(t *testing.T, path string, in bucket, change func(*bbolt.Bucket) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket(in.id)) }), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyTo(t *testing.T, from, to string, skip bool) (transfer.Result, error) {
	t.Helper()
	src, err := OpenSource(from, testMaster(t), Options{})
	if err != nil {
		return transfer.Result{}, err
	}
	defer src.Close()
	dst, err := CreateTarget(to, testMaster(t), Options{})
	if err != nil {
		return transfer.Result{}, err
	}
	defer dst.Close()
	return transfer.Copy(context.Background(), src, dst, transfer.Options{
		Sealer: record.NewSealer(testMaster(t)), Issuer: "https://a.example", SkipDamaged: skip})
}

// An attempt that cannot be read is left out with its form.
func TestDamagedAttempts(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from.db")
	a := usedAt(t, from)
	changeIn(t, from, attempts, func(b *bbolt.Bucket) error {
		value := bytes.Clone(b.Get([]byte(a.ID)))
		value[len(value)-1] ^= 1
		return b.Put([]byte(a.ID), value)
	})
	if _, err := copyTo(t, from, filepath.Join(dir, "refused.db"), false); !errors.Is(err, transfer.ErrDamaged) || !strings.Contains(err.Error(), "attempts, key ") {
		t.Errorf("%v", err)
	}
	if result, err := copyTo(t, from, filepath.Join(dir, "to.db"), true); err != nil || result.Damaged != 1 {
		t.Errorf("%d were left out, %v", result.Damaged, err)
	}
}

// Every refusal says what to do, and changes neither store.
func TestACopyRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"whole", "other-key", "newer", "open"} {
		usedAt(t, at(name))
	}
	changeIn(t, at("newer"), meta, func(b *bbolt.Bucket) error { return b.Put(metaSchema, []byte("3")) })
	changeIn(t, at("other-key"), meta, func(b *bbolt.Bucket) error { return b.Put(metaFingerprint, []byte("0123")) })
	if err := os.WriteFile(at("damaged"), bytes.Repeat([]byte("?"), 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("unfinished"+copySuffix), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	usedAt(t, at("gone"))
	if err := os.Remove(at("gone")); err != nil {
		t.Fatal(err)
	}
	openAt(t, at("open"), Options{})
	for _, row := range []struct {
		from string
		want error
		says string
	}{
		{"absent", ErrNoStore, ""},
		{"gone", ErrGone, "restore it from a backup"},
		{"unfinished", ErrUnfinished, "run calleridp store copy"},
		{"damaged", ErrForeignFile, "restore the newest backup"},
		{"newer", ErrNewerSchema, "start that version"},
		{"other-key", ErrWrongMasterKey, "restore that key"},
		{"open", ErrInUse, "stop that one"},
	} {
		_, err := copyTo(t, at(row.from), at("to-"+row.from), false)
		if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), at(row.from)) {
			t.Errorf("from %s: %v, want %v and %q", row.from, err, row.want, row.says)
		}
		if _, err := os.Stat(at("to-" + row.from + copySuffix)); err == nil {
			t.Errorf("from %s: a target was begun", row.from)
		}
	}
	before, err := os.ReadFile(at("whole"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := copyTo(t, at("other-key"), at("whole"), false); err == nil {
		t.Error("copied over a store")
	}
	if _, err := CreateTarget(at("whole"), testMaster(t), Options{}); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "whole.old") {
		t.Errorf("over a store: %v", err)
	}
	if after, err := os.ReadFile(at("whole")); err != nil || !bytes.Equal(before, after) {
		t.Error("a refused copy has changed a store")
	}
	openAt(t, at("whole"), Options{}).Close()
	if _, err := CreateTarget(at("no/folder"), testMaster(t), Options{}); err == nil {
		t.Error("a target without a folder")
	}
}

// A store that somebody has put in the target's place meanwhile is kept.
func TestACopyKeepsAStoreThatCameMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	target, err := CreateTarget(path, testMaster(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if _, err := target.Written(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := target.Commit(t.Context()); !errors.Is(err, ErrExists) {
		t.Errorf("%v, want %v", err, ErrExists)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "theirs" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

// A copy that comes while another one ends never touches what that one has made.
func TestACopyAfterAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	first, err := CreateTarget(path, testMaster(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	// The second one has opened the file, and waits for its lock.
	late, err := os.OpenFile(first.made, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	second := &Target{Source: Source{transferred(path, testMaster(t), Options{})}, path: path, made: path + copySuffix}
	if _, err := first.Written(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.ours(late); !errors.Is(err, ErrInUse) {
		t.Errorf("the second copy takes the store for its own: %v", err)
	}
	if _, err := CreateTarget(path, testMaster(t), Options{}); !errors.Is(err, ErrExists) {
		t.Errorf("a later copy: %v", err)
	}
	if err := openAt(t, path, Options{}).Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + markerSuffix); err != nil {
		t.Error("a copy leaves no marker: if its file vanishes, a server begins with an empty store")
	}
}

// A copy has the same keys in every bucket as the store, which has every kind of record,
// so everything is found and swept there, too.
func TestACopyHasEveryIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock is that of the fixture
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from.db"), filepath.Join(dir, "to.db")
		unpack(t, filepath.Join("testdata", fmt.Sprintf("v%d.db.gz", newestFixture)), from)
		openAt(t, from, Options{}).Close() // as its server has
		src, err := OpenSource(from, testMaster(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		dst, err := CreateTarget(to, testMaster(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transfer.Copy(t.Context(), src, dst, transfer.Options{Sealer: record.NewSealer(testMaster(t)), Issuer: "https://id.example"}); err != nil {
			t.Fatal(err)
		}
		want, got := everyKey(t, src.s.db), everyKey(t, dst.s.db)
		for _, b := range buckets {
			name := string(b.id)
			if !reflect.DeepEqual(got[name], want[name]) {
				t.Errorf("%s has the keys %q, want %q", name, got[name], want[name])
			}
			if len(want[name]) == 0 && b.kind != &record.Deleted && b.kind != &record.CallbackSecrets {
				t.Errorf("the fixture has nothing in %s", name)
			}
		}
		if err := errors.Join(src.Close(), dst.Close()); err != nil {
			t.Fatal(err)
		}
	})
}

func everyKey(t *testing.T, db *bbolt.DB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(key, _ []byte) error {
				all[string(name)] = append(all[string(name)], string(key))
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A link in the data directory, which belongs to the server's user, does not make a copy or
// restore that root runs empty another file.
func TestThreat_ACopyFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "calleridp.db")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path+copySuffix); err != nil {
		t.Fatal(err)
	}
	if target, err := CreateTarget(path, testMaster(t), Options{}); err == nil {
		target.Close()
		t.Error("a store was made where a link leads")
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the file to which the link leads has %d bytes, %v; want what it had", len(text), err)
	}
}
