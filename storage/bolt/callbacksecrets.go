// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"time"

	"calleridp/storage/record"
	"calleridp/truecaller"
)

var _ truecaller.Secrets = (*Store)(nil)

// CallbackSecrets implements truecaller.Secrets.
func (s *Store) CallbackSecrets(ctx context.Context, app string, now time.Time, grace time.Duration) (good []truecaller.OldSecret, err error) {
	err = s.read(ctx, func(r reader) error {
		var known record.CallbackSecret
		found, err := r.get(&callbackSecrets, []byte(app), &known)
		if found {
			good = known.Valid(now, grace)
		}
		return err
	})
	return good, err
}

// UseCallbackSecret implements truecaller.Secrets. It writes nothing if the secret
// is already the current one.
func (s *Store) UseCallbackSecret(ctx context.Context, app string, hash [32]byte, now time.Time, grace time.Duration) ([]truecaller.OldSecret, error) {
	var good []truecaller.OldSecret
	err := s.write(ctx, func(t *txn) error {
		good = nil
		var known record.CallbackSecret
		found, err := t.get(&callbackSecrets, []byte(app), &known)
		if err != nil {
			return err
		}
		old := known.Old
		if found && known.Current != hash {
			old = append(old, truecaller.OldSecret{Hash: known.Current, Until: now.Add(grace)})
		}
		for _, o := range old {
			if o.Hash != hash && now.Before(o.Until) {
				good = append(good, o)
			}
		}
		if found && known.Current == hash {
			return nil
		}
		known = record.CallbackSecret{Current: hash, Old: good}
		return t.put(&callbackSecrets, []byte(app), never, &known)
	})
	return good, err
}
