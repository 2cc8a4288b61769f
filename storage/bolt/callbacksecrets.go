package bolt

import (
	"context"
	"time"

	"calleridp/truecaller"
)

var _ truecaller.Secrets = (*Store)(nil)

// callbackSecretRecord is which secrets open the callback path of an app.
type callbackSecretRecord struct {
	Current [32]byte
	Old     []truecaller.OldSecret
}

func (r *callbackSecretRecord) fields(c *codec) {
	c.hash(&r.Current)
	list(c, &r.Old, func(c *codec, o *truecaller.OldSecret) {
		c.hash(&o.Hash)
		c.time(&o.Until)
	})
}

// UseCallbackSecret implements truecaller.Secrets. Nothing is written when the
// secret is the current one already.
func (s *Store) UseCallbackSecret(ctx context.Context, app string, hash [32]byte, now time.Time, grace time.Duration) ([]truecaller.OldSecret, error) {
	var good []truecaller.OldSecret
	err := s.write(ctx, func(t *txn) error {
		good = nil
		var record callbackSecretRecord
		found, err := t.get(&callbackSecrets, []byte(app), record.fields)
		if err != nil {
			return err
		}
		old := record.Old
		if found && record.Current != hash {
			old = append(old, truecaller.OldSecret{Hash: record.Current, Until: now.Add(grace)})
		}
		for _, o := range old {
			if o.Hash != hash && now.Before(o.Until) {
				good = append(good, o)
			}
		}
		if found && record.Current == hash {
			return nil
		}
		record = callbackSecretRecord{Current: hash, Old: good}
		return t.put(&callbackSecrets, []byte(app), never, record.fields)
	})
	return good, err
}
