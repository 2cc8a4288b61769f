package bolt

import (
	"context"
	"encoding/binary"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/storage/record"
)

var _ consent.Store = (*Store)(nil)

// Consent implements consent.Store.
func (s *Store) Consent(ctx context.Context, sub, clientID string) (consent.Consent, error) {
	var known *consent.Consent
	err := s.read(ctx, func(r reader) (err error) {
		known, err = r.consent(sub, clientID)
		return err
	})
	switch {
	case err != nil:
		return consent.Consent{}, err
	case known == nil:
		return consent.Consent{}, consent.ErrNotFound
	}
	return *known, nil
}

// Allow implements consent.Store.
func (s *Store) Allow(ctx context.Context, sub, clientID string, code grant.Code, step func(*consent.Consent) consent.Consent) error {
	return s.write(ctx, func(t *txn) error {
		known, err := t.consent(sub, clientID)
		if err != nil {
			return err
		}
		given := step(known)
		given.Sub, given.ClientID = sub, clientID
		// The code first: when it is refused, nothing has been written.
		if err := t.createCode(code); err != nil {
			return err
		}
		return t.putConsent(given)
	})
}

// consent is what the person allows the client, nil for nothing.
func (r reader) consent(sub, clientID string) (*consent.Consent, error) {
	k := &consent.Consent{}
	if found, err := r.get(&consents, consentKey(sub, clientID), (*record.Consent)(k)); !found || err != nil {
		return nil, err
	}
	return k, nil
}

func (t *txn) putConsent(k consent.Consent) error {
	return t.put(&consents, consentKey(k.Sub, k.ClientID), never, (*record.Consent)(&k))
}

// useConsent notes that a consent was used, if there is one.
func (t *txn) useConsent(sub, clientID string, at time.Time) error {
	known, err := t.consent(sub, clientID)
	if err != nil || known == nil || !at.After(known.LastUsed) {
		return err
	}
	known.LastUsed = at
	return t.putConsent(*known)
}

// consentKey is the length of the sub, the sub and the client, so that a
// person's are beside each other.
func consentKey(sub, clientID string) []byte {
	k := make([]byte, 0, 2+len(sub)+len(clientID))
	k = binary.BigEndian.AppendUint16(k, uint16(len(sub)))
	k = append(k, sub...)
	return append(k, clientID...)
}
