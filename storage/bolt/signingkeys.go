package bolt

import (
	"context"
	"errors"
	"time"

	"calleridp/keys"
)

var _ keys.Store = (*Store)(nil)

type keySetRecord struct {
	Version uint64      `json:"v"`
	Keys    []keyRecord `json:"k"`
}

type keyRecord struct {
	ID        string    `json:"id"`
	Algorithm string    `json:"alg"`
	State     string    `json:"s"`
	Created   time.Time `json:"c"`
	Activated time.Time `json:"a,omitzero"`
	Retired   time.Time `json:"r,omitzero"`
	Public    []byte    `json:"p"`
	Sealed    []byte    `json:"x"`
}

var keySet = []byte("set")

func (s *Store) SigningKeys(context.Context) (records []keys.Record, version uint64, err error) {
	var v keySetRecord
	err = s.read(func(r reader) error { return r.get(bKeys, keySet, &v) })
	if errors.Is(err, errMissing) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	for _, k := range v.Keys {
		records = append(records, keys.Record{ID: k.ID, Algorithm: k.Algorithm, State: keys.State(k.State),
			Created: k.Created, Activated: k.Activated, Retired: k.Retired, Public: k.Public, Sealed: k.Sealed})
	}
	return records, v.Version, nil
}

func (s *Store) ReplaceSigningKeys(ctx context.Context, records []keys.Record, version uint64) error {
	return s.write(ctx, func(tx *txn) error {
		var v keySetRecord
		if err := tx.get(bKeys, keySet, &v); err != nil && !errors.Is(err, errMissing) {
			return err
		}
		if v.Version != version {
			return keys.ErrConflict
		}
		next := keySetRecord{Version: version + 1}
		for _, k := range records {
			next.Keys = append(next.Keys, keyRecord{ID: k.ID, Algorithm: k.Algorithm, State: string(k.State),
				Created: k.Created, Activated: k.Activated, Retired: k.Retired, Public: k.Public, Sealed: k.Sealed})
		}
		return tx.put(bKeys, keySet, next, time.Time{})
	})
}
