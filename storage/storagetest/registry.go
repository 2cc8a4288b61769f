package storagetest

import (
	"errors"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
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

func testIssuer(t *testing.T, w *world) {
	w.must(w.PinIssuer(w.ctx, "https://id.example"))
	w.must(w.PinIssuer(w.ctx, "https://id.example"))
	for range 2 {
		for _, other := range []string{"https://id.example/", "https://other.example", ""} {
			if w.PinIssuer(w.ctx, other) == nil {
				t.Errorf("%q was accepted", other)
			}
		}
		w.reopen()
	}
	w.must(w.PinIssuer(w.ctx, "https://id.example"))
}

func testClients(t *testing.T, w *world) {
	_, err := w.Client(w.ctx, "b")
	w.is(err, client.ErrNotFound)
	w.is(w.UpdateClient(w.ctx, "b", func(*client.Client) error {
		t.Error("an absent client was changed")
		return nil
	}), client.ErrNotFound)
	w.is(w.DeleteClient(w.ctx, "b"), client.ErrNotFound)
	none, err := w.Clients(w.ctx)
	w.must(err)
	if len(none) != 0 {
		t.Fatalf("a new store has %+v", none)
	}

	for _, id := range []string{"b", "a", "ab", "c"} {
		w.must(w.CreateClient(w.ctx, client.Client{ID: id, Name: "the " + id, Created: w.now}))
	}
	w.is(w.CreateClient(w.ctx, client.Client{ID: "b", Name: "another"}), client.ErrExists)
	age := time.Hour
	w.must(w.UpdateClient(w.ctx, "b", func(c *client.Client) error {
		c.DefaultMaxAge = &age
		c.SecretHashes = append(c.SecretHashes, newHash())
		return nil
	}))
	refused := errors.New("refused")
	w.is(w.UpdateClient(w.ctx, "b", func(c *client.Client) error {
		c.Name = "never"
		return refused
	}), refused)
	b, err := w.Client(w.ctx, "b")
	w.must(err)
	if b.Name != "the b" || len(b.SecretHashes) != 1 || b.DefaultMaxAge == nil || *b.DefaultMaxAge != age {
		t.Fatalf("%+v", b)
	}
	w.must(w.DeleteClient(w.ctx, "a"))
	w.is(w.DeleteClient(w.ctx, "a"), client.ErrNotFound)
	all, err := w.Clients(w.ctx)
	w.must(err)
	var ids string
	for _, c := range all {
		ids += c.ID + " "
	}
	if ids != "ab b c " {
		t.Fatalf("clients %q", ids)
	}
}
