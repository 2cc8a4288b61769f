// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"calleridp/provider/client"
)

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
	var ids strings.Builder
	for _, c := range all {
		ids.WriteString(c.ID + " ")
	}
	if ids.String() != "ab b c " {
		t.Fatalf("clients %q", ids.String())
	}
}

// An assertion is used once, by one of many at a time, also after a restart; another
// client's with the same jti, and one that has expired, are other ones.
func testAssertions(t *testing.T, w *world) {
	soon := w.now.Add(time.Hour)
	id := client.NewAssertionID("app", "1")
	outcomes := make(chan error)
	for range 8 {
		go func() { outcomes <- w.UseAssertion(w.ctx, id, soon) }()
	}
	used := 0
	for range 8 {
		switch err := <-outcomes; {
		case err == nil:
			used++
		default:
			w.is(err, client.ErrReplayed)
		}
	}
	if used != 1 {
		t.Errorf("an assertion was used %d times, want once", used)
	}
	w.reopen()
	w.is(w.UseAssertion(w.ctx, id, soon), client.ErrReplayed)
	w.must(w.UseAssertion(w.ctx, client.NewAssertionID("app", "2"), soon))
	w.must(w.UseAssertion(w.ctx, client.NewAssertionID("other", "1"), soon))

	past := client.NewAssertionID("app", "past")
	w.must(w.UseAssertion(w.ctx, past, w.now.Add(-time.Minute)))
	w.must(w.UseAssertion(w.ctx, past, soon))
	w.is(w.UseAssertion(w.ctx, past, soon), client.ErrReplayed)
}
