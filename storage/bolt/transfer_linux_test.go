// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/storage/record"
	"calleridp/storage/transfer"
)

// A copy that finds no space fails, gives back what it took, and can be made again. It runs
// in a process of its own, because the limit holds for each file of a process, also for the
// log that go test keeps.
func TestACopyWithoutSpace(t *testing.T) {
	const alone = "CALLERIDP_TEST_ALONE"
	if os.Getenv(alone) == "" {
		binary, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(binary, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), alone+"=yes")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
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
