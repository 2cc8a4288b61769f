// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/record"
)

var _ subject.RecordStore = (*Store)(nil)

// Account implements subject.RecordStore.
func (s *Store) Account(ctx context.Context, sub string) (subject.Record, error) {
	return view(ctx, s, func(r reader) (subject.Record, error) { return r.account(sub) })
}

// account returns everything that is stored about a user, or subject.ErrNotFound.
func (r reader) account(sub string) (found subject.Record, err error) {
	if found.Person, err = present(r.person(sub)); err != nil {
		return found, err
	}
	owner, err := r.subOf(found.Person.Number)
	if err != nil {
		return found, err
	}
	found.Bound = owner == sub
	for _, e := range r.owned(&personIndex, sub) {
		switch e.of {
		case &sessions:
			var s session.Session
			exists, err := r.get(&sessions, e.key, (*record.Session)(&s))
			if err != nil {
				return found, err
			}
			if exists {
				found.Sessions = append(found.Sessions, s)
			}
		case &grants:
			g, err := r.grant(string(e.key))
			if err != nil {
				return found, err
			}
			if g != nil {
				found.Grants = append(found.Grants, *g)
			}
		}
	}
	found.Known = r.knownOf(sub)
	found.Consents, err = r.consentsOf(sub)
	return found, err
}

// consentsOf returns all consents of a user.
func (r reader) consentsOf(sub string) (all []consent.Consent, err error) {
	prefix := consentKey(sub, "")
	cursor := r.tx.Bucket(consents.id).Cursor()
	for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
		var c consent.Consent
		if err := r.open(&consents, k, v, (*record.Consent)(&c)); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// RevokeClient implements subject.RecordStore.
func (s *Store) RevokeClient(ctx context.Context, sub, clientID string) error {
	ofClient := func(g grant.Grant) bool { return g.ClientID == clientID }
	defer s.wakeNotices()
	return s.write(ctx, func(t *txn) error {
		withdrawn := func(by []signals.Knower) []notify.Notice { return signals.Withdrawn(t.now, sub, clientID, by) }
		if err := t.tellOf(sub, clientID, signals.AccessRemoved, withdrawn); err != nil {
			return err
		}
		if err := t.forgetKnown(sub, clientID); err != nil {
			return err
		}
		if err := t.endGrants(t.owned(&personIndex, sub), ofClient); err != nil {
			return err
		}
		return t.del(&consents, consentKey(sub, clientID))
	})
}

// EndSessions implements subject.RecordStore.
func (s *Store) EndSessions(ctx context.Context, sub string) error {
	defer s.wakeNotices()
	return s.write(ctx, func(t *txn) error {
		person, err := t.person(sub)
		if err != nil {
			return err
		}
		if err := t.tellOf(sub, "", signals.SignedOut, nil); err != nil {
			return err
		}
		if person != nil {
			person.SignOuts++
			if err := t.put(&people, []byte(sub), never, (*record.Person)(person)); err != nil {
				return err
			}
		}
		return t.endSessionsOf(sub)
	})
}

// endSessionsOf ends all sessions of a user, with the grants that end with them.
func (t *txn) endSessionsOf(sub string) error {
	all := t.owned(&personIndex, sub)
	if err := t.endGrants(all, online); err != nil {
		return err
	}
	for _, e := range all {
		if e.of != &sessions {
			continue
		}
		if err := t.forget(&sessions, e.key); err != nil {
			return err
		}
	}
	return nil
}

// DeletePerson implements subject.RecordStore.
func (s *Store) DeletePerson(ctx context.Context, sub string) error {
	defer s.wakeNotices()
	return s.write(ctx, func(t *txn) error {
		person, err := t.person(sub)
		if err != nil || person == nil {
			return err
		}
		purged := func(by []signals.Knower) []notify.Notice { return signals.Purged(t.now, sub, by) }
		if err := t.tellOf(sub, "", signals.Deleted, purged); err != nil {
			return err
		}
		if err := t.forgetKnown(sub, ""); err != nil {
			return err
		}
		if err := t.unbind(person.Number, sub); err != nil {
			return err
		}
		for _, e := range t.owned(&personIndex, sub) {
			if err := t.forget(e.of, e.key); err != nil {
				return err
			}
			// The entry of a record that cannot be read is still there.
			if err := t.del(&personIndex, ownerKey(sub, e.of, e.key)); err != nil {
				return err
			}
		}
		allowed, err := t.consentsOf(sub)
		if err != nil {
			return err
		}
		for _, c := range allowed {
			if err := t.del(&consents, consentKey(sub, c.ClientID)); err != nil {
				return err
			}
		}
		tombstone := t.s.sealer.DeletedKey(sub)
		if err := t.put(&deleted, tombstone[:], never, &record.Tombstone{}); err != nil {
			return err
		}
		return t.del(&people, []byte(sub))
	})
}

// isDeleted reports whether the sub was that of a deleted user.
func (r reader) isDeleted(sub string) bool {
	if sub == "" {
		return false
	}
	tombstone := r.s.sealer.DeletedKey(sub)
	return r.has(&deleted, tombstone[:])
}
