// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"strings"
	"syscall"
	"testing"

	"calleridp/provider/audit"
)

// limited bounds the size of files that this process writes, as a disk does that is full.
func limited(t *testing.T, size uint64) (free func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(r syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &r); err != nil {
			t.Fatal(err)
		}
	}
	set(syscall.Rlimit{Cur: size, Max: before.Max})
	return func() { set(before) }
}

// On a full disk no change of an operator happens, what users do is lost and counted, and
// everything goes on by itself when there is room.
func TestThreat_AFullDisk(t *testing.T) {
	w := newWorld(t)
	trail, k := w.open()
	w.keep(k, 2)
	free := limited(t, uint64(len(read(t, w.files()[0]))+100)) // less than a line; a new file has not enough either
	t.Cleanup(free)
	err := k.RecordDurable(t.Context(), audit.Event{Name: audit.ClientRemoved, Client: "shop"})
	if err == nil {
		t.Error("a line was kept on a full disk")
	}
	if !trail.Stats().Failing {
		t.Error("the stats do not say that it fails")
	}
	free()
	limitedAgain := limited(t, 10)
	for range 7 {
		k.Record(t.Context(), audit.Event{Name: audit.SessionUsed})
	}
	if k.RecordDurable(t.Context(), audit.Event{Name: audit.ClientRemoved, Client: "shop"}) == nil {
		t.Error("a line was kept on a full disk")
	}
	limitedAgain()
	w.keep(k, 1)
	if trail.Stats().Failing || trail.Stats().Lost != 7 {
		t.Errorf("when there is room again: %+v, want 7 lost", trail.Stats())
	}
	w.close(trail)
	r := w.verify()
	if len(r.Problems) > 0 {
		t.Errorf("problems: %v", r.Problems)
	}
	lost := 0
	for _, f := range w.files() {
		lost += strings.Count(string(read(t, f)), `"event":"audit.lost","level":"WARN","lines":7,"error":"`)
	}
	if lost != 1 {
		t.Errorf("%d lines say that 7 were lost, want one; notes: %v", lost, r.Notes)
	}
}
