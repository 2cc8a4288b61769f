// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"encoding/binary"
	"time"

	"calleridp/provider/consent"
	"calleridp/storage/record"
)

var _ consent.Store = (*Store)(nil)

// Consent implements consent.Store.
func (s *Store) Consent(ctx context.Context, sub, clientID string) (consent.Consent, error) {
	return view(ctx, s, func(r reader) (k consent.Consent, err error) {
		err = r.find(&consents, consentKey(sub, clientID), (*record.Consent)(&k), consent.ErrNotFound)
		return k, err
	})
}

// Allow implements consent.Store.
func (s *Store) Allow(
	ctx context.Context, sub, clientID string, approve func(*consent.Consent) consent.Approval,
) (consent.Approval, error) {
	return update(ctx, s, func(t *txn) (consent.Approval, error) {
		known, err := t.consent(sub, clientID)
		if err != nil {
			return consent.Approval{}, err
		}
		approval := approve(known)
		approval.Consent.Sub, approval.Consent.ClientID = sub, clientID
		// The code first: when it is refused, nothing has been written.
		if err := t.createCode(approval.Code); err != nil {
			return consent.Approval{}, err
		}
		return approval, t.putConsent(approval.Consent)
	})
}

// consent returns what the user allows the client, nil for nothing.
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

// useConsent stores when a consent was used, if there is one.
func (t *txn) useConsent(sub, clientID string, at time.Time) error {
	known, err := t.consent(sub, clientID)
	if err != nil || known == nil || !at.After(known.LastUsed) {
		return err
	}
	known.LastUsed = at
	return t.putConsent(*known)
}

// consentKey is the length of the sub, the sub and the client, so that the
// consents of one user are next to each other.
func consentKey(sub, clientID string) []byte {
	k := make([]byte, 0, 2+len(sub)+len(clientID))
	k = binary.BigEndian.AppendUint16(k, uint16(len(sub)))
	k = append(k, sub...)
	return append(k, clientID...)
}
