// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/record"
)

var _ subject.RecordStore = (*Store)(nil)

// Account implements subject.RecordStore. It reads at REPEATABLE READ, so that all is
// of one moment.
func (s *Store) Account(ctx context.Context, sub string) (subject.Record, error) {
	var found subject.Record
	err := s.writeAt(ctx, "REPEATABLE READ READ ONLY", func(t *txn) error {
		found = subject.Record{}
		exists := t.person(&found.Person, sub, "")
		t.each("SELECT key, value FROM sessions WHERE sub = $1", []any{[]byte(sub)}, func(key, value []byte) error {
			var s session.Session
			err := t.s.sealer.Open(&record.Sessions, key, value, (*record.Session)(&s))
			found.Sessions = append(found.Sessions, s)
			return err
		})
		t.each("SELECT key, value FROM grants WHERE sub = $1", []any{[]byte(sub)}, func(key, value []byte) error {
			var g grant.Grant
			err := t.s.sealer.Open(&record.Grants, key, value, (*record.Grant)(&g))
			found.Grants = append(found.Grants, g)
			return err
		})
		t.knownOf(sub, &found.Known)
		t.consentsOf(sub, func(c consent.Consent) { found.Consents = append(found.Consents, c) })
		if err := t.look(); err != nil {
			return err
		}
		if !*exists {
			return subject.ErrNotFound
		}
		owners := t.owners(found.Person.Number, "")
		if err := t.look(); err != nil {
			return err
		}
		owner, err := owners.person()
		found.Bound = owner != nil && owner.Sub == sub
		return err
	})
	if err != nil {
		return subject.Record{}, err
	}
	return found, nil
}

// RevokeClient implements subject.RecordStore.
func (s *Store) RevokeClient(ctx context.Context, sub, clientID string) error {
	ofClient := func(g grant.Grant) bool { return g.ClientID == clientID }
	defer s.wakeNotices()
	return s.write(ctx, func(t *txn) error {
		t.lockPerson(sub)
		t.run("SELECT FROM consents WHERE key = $1 FOR UPDATE", consentKey(sub, clientID))
		all := t.endingSessions("sub", []byte(sub)) // which stay
		grants, end := t.grantsOf("sub", []byte(sub))
		knowing := t.knowing(sub)
		if err := t.look(); err != nil {
			return err
		}
		withdrawn := signals.Withdrawn(t.s.options.now(), sub, clientID, knowing.by(*all, *grants))
		t.tellOf(*all, *grants, clientID, signals.AccessRemoved, withdrawn...)
		t.forgetKnown(sub, clientID)
		end(ofClient)
		t.put("DELETE FROM consents WHERE key = $1", consentKey(sub, clientID))
		return nil
	})
}

// EndSessions implements subject.RecordStore.
func (s *Store) EndSessions(ctx context.Context, sub string) error {
	defer s.wakeNotices()
	return s.write(ctx, func(t *txn) error {
		var person subject.Person
		exists := t.person(&person, sub, " FOR UPDATE")
		all := t.endingSessions("sub", []byte(sub))
		grants, end := t.grantsOf("sub", []byte(sub))
		if err := t.look(); err != nil {
			return err
		}
		t.tellOf(*all, *grants, "", signals.SignedOut)
		end(online)
		if *exists {
			person.SignOuts++
			t.storePerson(person)
		}
		t.put("DELETE FROM sessions WHERE sub = $1", []byte(sub))
		return nil
	})
}

// DeletePerson implements subject.RecordStore. It locks the number before the user, as
// ApproveAttempt does.
func (s *Store) DeletePerson(ctx context.Context, sub string) error {
	defer s.wakeNotices()
	return s.write(ctx, func(t *txn) error {
		var before, person subject.Person
		exists := t.person(&before, sub, "")
		if err := t.look(); err != nil || !*exists {
			return err
		}
		o := t.owners(before.Number, " FOR UPDATE")
		exists = t.person(&person, sub, " FOR UPDATE")
		first, end := consentRange(sub)
		t.run("SELECT FROM consents WHERE key >= $1 AND key < $2 ORDER BY key FOR UPDATE", first, end)
		sessions := t.endingSessions("sub", []byte(sub)) // each in the order of its keys, as every operation does
		t.run("SELECT FROM codes WHERE sub = $1 ORDER BY key FOR UPDATE", []byte(sub))
		grants := t.endingGrants(sub)
		knowing := t.knowing(sub)
		if err := t.look(); err != nil || !*exists {
			return err
		}
		if person.Number != before.Number {
			return errAgain
		}
		purged := signals.Purged(t.s.options.now(), sub, knowing.by(*sessions, *grants))
		t.tellOf(*sessions, *grants, "", signals.Deleted, purged...)
		t.forgetKnown(sub, "")
		for i, key := range o.keys {
			if o.subs[i] == sub {
				t.put("DELETE FROM numbers WHERE key = $1", key)
			}
		}
		key := []byte(sub)
		t.put("DELETE FROM sessions WHERE sub = $1", key)
		t.put("DELETE FROM codes WHERE sub = $1", key)
		t.put("DELETE FROM grants WHERE sub = $1", key)
		t.put("DELETE FROM consents WHERE key >= $1 AND key < $2", first, end)
		tombstone := t.s.tombstone(sub)
		t.put("INSERT INTO deleted (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
			tombstone, t.s.sealer.Seal(&record.Deleted, tombstone, never, &record.Tombstone{}))
		t.put("DELETE FROM people WHERE key = $1", key)
		return nil
	})
}
