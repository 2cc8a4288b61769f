// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/storage/storagetest"
)

var _ storagetest.Engine = (*Store)(nil)

func TestContract(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Place {
		path := filepath.Join(t.TempDir(), "store.db")
		return func(t *testing.T) storagetest.Engine { return openAt(t, path, Options{Tells: storagetest.Tells}) }
	})
}

// An operation that shares its transaction with one that fails after it has
// written runs again.
func TestRerun(t *testing.T) {
	fresh := func(t *testing.T) storagetest.Place {
		path := filepath.Join(t.TempDir(), "store.db")
		return func(t *testing.T) storagetest.Engine { return openAt(t, path, Options{}) }
	}
	storagetest.Rerun(t, fresh, func(e storagetest.Engine, operation func()) {
		s := e.(*Store)
		release := stall(t, s)
		var wg sync.WaitGroup
		wg.Go(operation)
		queued(s, 1)
		wg.Go(func() {
			err := s.write(context.Background(), func(t *txn) error {
				if err := t.putClient(client.Client{ID: "spoilt"}); err != nil {
					return err
				}
				return errors.New("refused after it has written")
			})
			if err == nil {
				t.Error("the operation that spoils the transaction has succeeded")
			}
		})
		queued(s, 2)
		release()
		wg.Wait()
	})
}

func testMaster(t testing.TB) *keys.Master {
	t.Helper()
	m, err := keys.NewMaster([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// openAt opens a store and closes it at the end of the test.
func openAt(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(path, testMaster(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "store.db"), o)
}

// Codes, refresh tokens and locks are used one after the other (invariants 7 and 9).
func TestLinearizable(t *testing.T) { storagetest.Linearizable(t, open(t, Options{})) }
