// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/subject"
	"calleridp/storage/record"

	"go.etcd.io/bbolt"
)

// Deleting a user leaves one tombstone, under a keyed hash and without fields. The
// attempt expires by itself.
func TestDeletedPersonLeavesATombstoneOnly(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	sub := signIn(t, s, "46701740605").Sub
	code := grant.Code{Hash: [32]byte{1}, Expires: time.Now().Add(time.Minute), Grant: grant.Grant{ID: "g", Sub: sub, ClientID: "third"}}
	_, err := s.Allow(ctx, sub, "third", func(*consent.Consent) consent.Approval {
		return consent.Approval{Consent: consent.Consent{Scopes: []string{"openid"}}, Code: code}
	})
	if err != nil {
		t.Fatal(err)
	}
	// A record that cannot be read is deleted, too. The entry of its session
	// stays and leads nowhere.
	damage(t, s, &grants)
	if err := s.DeletePerson(ctx, sub); err != nil {
		t.Fatal(err)
	}
	for name, n := range records(t, s) {
		switch name {
		case "session_grants":
			if n > 1 {
				t.Errorf("%d left in %s", n, name)
			}
		case "people", "numbers", "sessions", "session_ids", "codes", "grants", "consents", "person_index":
			if n != 0 {
				t.Errorf("%d left in %s", n, name)
			}
		case "deleted":
			if n != 1 {
				t.Errorf("%d tombstones, want one", n)
			}
		}
	}
	s.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				if bytes.Contains(k, []byte(sub)) || bytes.Contains(v, []byte(sub)) {
					t.Errorf("the sub is in %s", name)
				}
				if string(name) == "deleted" {
					err := reader{s: s, tx: tx, now: time.Now()}.open(&deleted, k, v, &record.Tombstone{})
					if err != nil || len(k) != 32 {
						t.Errorf("the tombstone has key %x and reads as %v", k, err)
					}
				}
				return nil
			})
		})
	})
	if _, err := s.Account(ctx, sub); !errors.Is(err, subject.ErrNotFound) {
		t.Error(err)
	}
	intact(t, s)
}

// The index has one entry for each record of a user, whatever happens to the
// records.
func TestPersonIndexFollowsTheRecords(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	for _, digits := range []string{"46701740605", "46701740606", "46701740605"} {
		signIn(t, s, digits)
	}
	check := func(when string) {
		t.Helper()
		n := records(t, s)
		if got, want := n["person_index"], n["sessions"]+n["codes"]+n["grants"]; got != want {
			t.Errorf("%s: %d entries for %d records", when, got, want)
		}
	}
	check("after the sign-ins")
	sub := signIn(t, s, "46701740605").Sub
	r, err := s.Account(ctx, sub)
	if err != nil || len(r.Sessions) != 3 || len(r.Grants) != 3 {
		t.Fatalf("%d sessions, %d grants, %v", len(r.Sessions), len(r.Grants), err)
	}
	if _, err := s.EndSession(ctx, r.Sessions[0].ID); err != nil {
		t.Fatal(err)
	}
	check("after the end of a session")
	if err := s.RevokeClient(ctx, sub, "shop"); err != nil {
		t.Fatal(err)
	}
	check("after revoking a client")
	if err := s.EndSessions(ctx, sub); err != nil {
		t.Fatal(err)
	}
	check("after signing out everywhere")
}

// damage makes the first record of a bucket unreadable.
func damage(t *testing.T, s *Store, b *bucket) {
	t.Helper()
	err := s.write(context.Background(), func(t *txn) error {
		t.writes++
		kept := t.tx.Bucket(b.id)
		key, value := kept.Cursor().First()
		key, value = bytes.Clone(key), bytes.Clone(value)
		value[len(value)-1]++
		return kept.Put(key, value)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// No combination of owner and key gives two owners the same index entry.
func TestOwnersAreApart(t *testing.T) {
	one, two := string(ownerKey("s", &grants, []byte("gx"))), string(ownerKey("sg", &grants, []byte("x")))
	if one == two || strings.HasPrefix(two, one[:3]) || string(consentKey("ab", "c")) == string(consentKey("a", "bc")) {
		t.Errorf("%q and %q", one, two)
	}
}
