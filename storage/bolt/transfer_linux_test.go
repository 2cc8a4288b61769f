package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"calleridp/storage/record"
	"calleridp/storage/transfer"
)

// A copy that finds no space fails, gives back what it took, and can be made again.
func TestACopyWithoutSpace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	target, err := CreateTarget(path, testMaster(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	many := func(yield func(transfer.Stored, error) bool) {
		for i := range 5 * copyBatch / 2 {
			key := fmt.Appendf(nil, "%08d", i)
			var text record.Text
			if !yield(transfer.Stored{Key: key, Value: target.s.sealer.Seal(&record.Numbers, key, never, &text), Record: &text}, nil) {
				return
			}
		}
	}
	lift, err := limitFileSize(6 << 20)
	if err != nil {
		t.Fatal(err)
	}
	err = target.Write(t.Context(), &record.Numbers, many)
	closing := target.Close()
	lift()
	if err == nil || closing != nil {
		t.Fatalf("writing: %v, closing: %v", err, closing)
	}
	if info, err := os.Stat(path + copySuffix); err != nil || info.Size() != 0 {
		t.Errorf("the failed copy has left %v, %v", info, err)
	}
	if _, err := Open(path, testMaster(t), Options{}); !errors.Is(err, ErrUnfinished) {
		t.Errorf("a server after the failed copy: %v", err)
	}
	from := filepath.Join(t.TempDir(), "from.db")
	usedAt(t, from)
	if _, err := copyTo(t, from, path, false); err != nil {
		t.Errorf("the next copy: %v", err)
	}
	openAt(t, path, Options{}).Close()
}
