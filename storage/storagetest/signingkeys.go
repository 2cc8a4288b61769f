// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"testing"

	"calleridp/keys"
)

func testSigningKeys(t *testing.T, w *world) {
	none, version, err := w.SigningKeys(w.ctx)
	w.must(err)
	if len(none) != 0 || version != 0 {
		t.Fatalf("a new store has %d keys, version %d", len(none), version)
	}
	w.is(w.ReplaceSigningKeys(w.ctx, []keys.Record{{ID: "early"}}, 7), keys.ErrConflict)
	w.must(w.ReplaceSigningKeys(w.ctx, []keys.Record{{ID: "a"}, {ID: "b"}}, 0))
	set, version, err := w.SigningKeys(w.ctx)
	w.must(err)
	if len(set) != 2 || set[0].ID != "a" || set[1].ID != "b" || version == 0 {
		t.Fatalf("%+v version %d", set, version)
	}
	w.is(w.ReplaceSigningKeys(w.ctx, []keys.Record{{ID: "late"}}, 0), keys.ErrConflict)
	w.must(w.ReplaceSigningKeys(w.ctx, []keys.Record{{ID: "c"}}, version))
	w.is(w.ReplaceSigningKeys(w.ctx, []keys.Record{{ID: "late"}}, version), keys.ErrConflict)
	set, _, err = w.SigningKeys(w.ctx)
	w.must(err)
	if len(set) != 1 || set[0].ID != "c" {
		t.Fatalf("after a conflict: %+v", set)
	}
}
