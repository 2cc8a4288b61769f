// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/binary"

	"calleridp/provider/consent"
	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
)

var _ consent.Store = (*Store)(nil)

// Consent implements consent.Store.
func (s *Store) Consent(ctx context.Context, sub, clientID string) (consent.Consent, error) {
	return view(ctx, s, func(b *batch) func() (consent.Consent, error) {
		var k consent.Consent
		found := b.see(&record.Consents, (*record.Consent)(&k), consentKey(sub, clientID))
		return func() (consent.Consent, error) {
			if !*found {
				return consent.Consent{}, consent.ErrNotFound
			}
			return k, nil
		}
	})
}

// Allow implements consent.Store.
func (s *Store) Allow(
	ctx context.Context, sub, clientID string, approve func(*consent.Consent) consent.Approval,
) (consent.Approval, error) {
	key := consentKey(sub, clientID)
	run := update[consent.Approval]
	if _, known := s.memory.get(at(&record.Consents, key)); known {
		run = guessing[consent.Approval]
	}
	return run(ctx, s, func(t *txn) (consent.Approval, error) {
		t.living(sub)
		if !t.guesses {
			t.run("INSERT INTO consents (key, value) VALUES ($1, '') ON CONFLICT DO NOTHING", key)
			t.all(1, "SELECT FROM consents WHERE key = $1 FOR UPDATE", key)
		}
		known := &consent.Consent{}
		found := t.row(&record.Consents, (*record.Consent)(known), key)
		likely := approve(nil).Code // which does not depend on what is known, usually
		own := likely.Grant.Sub == sub && likely.Grant.ClientID == clientID
		uses := t.codeUses(likely, !own)
		if err := t.look(); err != nil {
			return consent.Approval{}, err
		}
		if !*found {
			known = nil
		}
		approval := approve(known)
		approval.Consent.Sub, approval.Consent.ClientID = sub, clientID
		t.putConsent(approval.Consent)
		if c := approval.Code; c.Hash != likely.Hash || c.Grant.SID != likely.Grant.SID || c.Grant.Sub != likely.Grant.Sub || c.Grant.ClientID != likely.Grant.ClientID {
			if c.Grant.Sub != sub {
				t.living(c.Grant.Sub)
			}
			uses = t.codeUses(c, c.Grant.Sub != sub || c.Grant.ClientID != clientID)
			if err := t.look(); err != nil {
				return consent.Approval{}, err
			}
		}
		t.putLiving(approval.Code.Grant.Sub)
		return approval, t.createCode(approval.Code, uses)
	})
}

// foreseeConsent has the memory learn what a user allows a client, for the end of the
// sign-in that is being approved.
func (t *txn) foreseeConsent(sub, clientID string) {
	p := at(&record.Consents, consentKey(sub, clientID))
	if _, known := t.s.memory.get(p); known || clientID == "" {
		return
	}
	after := t.s.memory.now(p)
	t.writes.Queue("SELECT value FROM consents WHERE key = $1", consentKey(sub, clientID)).Query(func(rows pgx.Rows) error {
		var value []byte
		for rows.Next() {
			if err := rows.Scan(&value); err != nil {
				return err
			}
		}
		t.s.memory.put(p, value, after)
		return rows.Err()
	})
}

// consentsOf queues a query for all consents of a user.
func (b *batch) consentsOf(sub string, each func(consent.Consent)) {
	first, end := consentRange(sub)
	b.each("SELECT key, value FROM consents WHERE key >= $1 AND key < $2", []any{first, end}, func(key, value []byte) error {
		var c consent.Consent
		if err := b.s.sealer.Open(&record.Consents, key, value, (*record.Consent)(&c)); err != nil {
			return err
		}
		each(c)
		return nil
	})
}

func (t *txn) putConsent(k consent.Consent) {
	key := consentKey(k.Sub, k.ClientID)
	value := t.s.sealer.Seal(&record.Consents, key, never, (*record.Consent)(&k))
	if t.absent(&record.Consents, key) {
		t.put("INSERT INTO consents (key, value) VALUES ($1, $2)", key, value)
	} else {
		t.put("UPDATE consents SET value = $2 WHERE key = $1", key, value)
	}
	t.learn(&record.Consents, key, value)
}

// consentKey is the length of the sub, the sub and the client, so that the consents
// of one user are next to each other.
func consentKey(sub, clientID string) []byte {
	k := make([]byte, 0, 2+len(sub)+len(clientID))
	k = binary.BigEndian.AppendUint16(k, uint16(len(sub)))
	k = append(k, sub...)
	return append(k, clientID...)
}

// consentRange returns the first key that a consent of the user can have, and the
// first one after them.
func consentRange(sub string) (first, end []byte) { return rangeOf(consentKey(sub, "")) }
