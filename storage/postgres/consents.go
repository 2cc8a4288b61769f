package postgres

import (
	"context"
	"encoding/binary"

	"calleridp/provider/consent"
	"calleridp/storage/record"
)

var _ consent.Store = (*Store)(nil)

// Consent implements consent.Store.
func (s *Store) Consent(ctx context.Context, sub, clientID string) (consent.Consent, error) {
	return view(ctx, s, func(b *batch) func() (consent.Consent, error) {
		var k consent.Consent
		found := b.consent(&k, sub, clientID, "")
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
	return update(ctx, s, func(t *txn) (consent.Approval, error) {
		t.living(sub)
		key := consentKey(sub, clientID)
		t.run("INSERT INTO consents (key, value) VALUES ($1, '') ON CONFLICT DO NOTHING", key)
		t.all(1, "SELECT FROM consents WHERE key = $1 FOR UPDATE", key)
		known := &consent.Consent{}
		found := t.consent(known, sub, clientID, "")
		if err := t.look(); err != nil {
			return consent.Approval{}, err
		}
		if !*found {
			known = nil
		}
		approval := approve(known)
		approval.Consent.Sub, approval.Consent.ClientID = sub, clientID
		t.putConsent(approval.Consent)
		c := approval.Code
		if c.Grant.Sub != sub {
			t.living(c.Grant.Sub)
		}
		uses := t.codeUses(c, c.Grant.Sub != sub || c.Grant.ClientID != clientID)
		if err := t.look(); err != nil {
			return consent.Approval{}, err
		}
		return approval, t.createCode(c, uses)
	})
}

// consent queues a query for what the user allows the client.
func (b *batch) consent(k *consent.Consent, sub, clientID, lock string) (found *bool) {
	return b.one(&record.Consents, (*record.Consent)(k), "SELECT key, value FROM consents WHERE key = $1"+lock, consentKey(sub, clientID))
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
	t.put("UPDATE consents SET value = $2 WHERE key = $1", key, t.s.sealer.Seal(&record.Consents, key, never, (*record.Consent)(&k)))
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
func consentRange(sub string) (first, end []byte) {
	first, end = consentKey(sub, ""), consentKey(sub, "")
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			break
		}
	}
	return first, end
}
