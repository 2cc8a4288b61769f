package bolt

import (
	"path/filepath"
	"testing"

	"calleridp/keys"
	"calleridp/storage/storagetest"
)

var _ storagetest.Engine = (*Store)(nil)

func TestContract(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Place {
		path := filepath.Join(t.TempDir(), "store.db")
		return func(t *testing.T) storagetest.Engine { return openAt(t, path, Options{}) }
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
