// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"

	"calleridp/storage/record"
	"calleridp/truecaller"
)

var _ truecaller.Secrets = (*Store)(nil)

// CallbackSecrets implements truecaller.Secrets.
func (s *Store) CallbackSecrets(ctx context.Context, app string, now time.Time, grace time.Duration) ([]truecaller.OldSecret, error) {
	return view(ctx, s, func(b *batch) func() ([]truecaller.OldSecret, error) {
		var known record.CallbackSecret
		found := b.one(&record.CallbackSecrets, &known, "SELECT key, value FROM callback_secrets WHERE key = $1", []byte(app))
		return func() ([]truecaller.OldSecret, error) {
			if !*found {
				return nil, nil
			}
			return known.Valid(now, grace), nil
		}
	})
}

// UseCallbackSecret implements truecaller.Secrets. It writes nothing if the secret is
// already the current one.
func (s *Store) UseCallbackSecret(ctx context.Context, app string, hash [32]byte, now time.Time, grace time.Duration) ([]truecaller.OldSecret, error) {
	return update(ctx, s, func(t *txn) ([]truecaller.OldSecret, error) {
		key := []byte(app)
		var known record.CallbackSecret
		t.run("INSERT INTO callback_secrets (key, value) VALUES ($1, '') ON CONFLICT DO NOTHING", key)
		t.all(1, "SELECT FROM callback_secrets WHERE key = $1 FOR UPDATE", key)
		found := t.one(&record.CallbackSecrets, &known, "SELECT key, value FROM callback_secrets WHERE key = $1", key)
		if err := t.look(); err != nil {
			return nil, err
		}
		old := known.Old
		if *found && known.Current != hash {
			old = append(old, truecaller.OldSecret{Hash: known.Current, Until: now.Add(grace)})
		}
		var good []truecaller.OldSecret
		for _, o := range old {
			if o.Hash != hash && now.Before(o.Until) {
				good = append(good, o)
			}
		}
		if *found && known.Current == hash {
			return good, nil
		}
		known = record.CallbackSecret{Current: hash, Old: good}
		t.put("UPDATE callback_secrets SET value = $2 WHERE key = $1", key, t.s.sealer.Seal(&record.CallbackSecrets, key, never, &known))
		return good, nil
	})
}
