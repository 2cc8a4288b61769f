// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"sync"
	"testing"
	"time"

	"calleridp/provider/audit/trail"
)

// The head of a chain moves forward only, also when it is told of lines out of order, and
// is gone with the last line that was kept.
func testAuditHeads(t *testing.T, w *world) {
	at := func(n int) time.Time { return w.now.Add(time.Duration(n) * time.Minute).UTC() }
	tell := func(h trail.Head, want ...trail.Head) {
		t.Helper()
		w.must(w.AdvanceAuditHead(w.ctx, h))
		w.reopen()
		got, err := w.AuditHeads(w.ctx)
		w.must(err)
		if len(got) == 0 && len(want) == 0 {
			return
		}
		w.same(got, want)
	}
	a5 := trail.Head{Server: "a", First: 1, Seq: 5, Digest: [32]byte{5}, Time: at(1)}
	tell(a5, a5)
	tell(trail.Head{Server: "a", First: 1, Seq: 4, Digest: [32]byte{4}, Time: at(2)}, a5)
	tell(trail.Head{Server: "a", First: 1, Seq: 5, Digest: [32]byte{6}, Time: at(2)}, a5)
	b := trail.Head{Server: "b", First: 1, Seq: 1, Digest: [32]byte{1}, Time: at(3)}
	tell(b, a5, b)
	a9 := trail.Head{Server: "a", First: 1, Seq: 9, Digest: [32]byte{9}, Time: at(3)}
	tell(a9, a9, b)
	a9.First = 4
	tell(trail.Head{Server: "a", First: 4}, a9, b)
	tell(trail.Head{Server: "a", First: 2}, a9, b)
	tell(trail.Head{Server: "b", First: 2}, a9)
	tell(trail.Head{Server: "none", First: 2}, a9)

	var all sync.WaitGroup
	for n := uint64(10); n < 20; n++ {
		all.Go(func() {
			w.must(w.AdvanceAuditHead(w.ctx, trail.Head{Server: "a", First: 4, Seq: n, Digest: [32]byte{byte(n)}, Time: at(int(n))}))
		})
	}
	all.Wait()
	got, err := w.AuditHeads(w.ctx)
	w.must(err)
	w.same(got, []trail.Head{{Server: "a", First: 4, Seq: 19, Digest: [32]byte{19}, Time: at(19)}})
}
