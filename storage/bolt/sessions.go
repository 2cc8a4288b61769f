package bolt

import (
	"bytes"
	"context"
	"errors"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/session"
)

var _ session.Store = (*Store)(nil)

type sessionRecord struct {
	Secret   []byte    `json:"k"`
	Sub      string    `json:"s"`
	AuthTime time.Time `json:"at"`
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
	Created  time.Time `json:"t"`
	Expires  time.Time `json:"e"`
}

func (s *Store) SessionBySecret(_ context.Context, secret [32]byte) (found session.Session, err error) {
	err = s.read(func(r reader) error {
		var id string
		if err := r.get(bSecrets, secret[:], &id); err != nil {
			return orNotFound(err, session.ErrNotFound)
		}
		found, err = r.session(id)
		return err
	})
	return found, err
}

func (s *Store) Session(_ context.Context, id string) (found session.Session, err error) {
	err = s.read(func(r reader) error {
		found, err = r.session(id)
		return err
	})
	return found, err
}

func (s *Store) EndSession(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *txn) error {
		if err := tx.dropSession(id); err != nil {
			return err
		}
		var ids []string
		prefix := append([]byte(id), 0)
		cursor := tx.bucket(bSIDs).Cursor()
		for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
			ids = append(ids, string(k[len(prefix):]))
		}
		for _, grantID := range ids {
			g, err := tx.grant(grantID)
			if errors.Is(err, grant.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if g.Offline || g.Revoked {
				continue
			}
			g.Revoked = true
			if err := tx.putGrant(g); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r reader) session(id string) (session.Session, error) {
	var v sessionRecord
	if err := r.get(bSessions, []byte(id), &v); err != nil {
		return session.Session{}, orNotFound(err, session.ErrNotFound)
	}
	s := session.Session{ID: id, Sub: v.Sub, AuthTime: v.AuthTime, ACR: v.ACR, AMR: v.AMR, Created: v.Created, Expires: v.Expires}
	copy(s.Secret[:], v.Secret)
	return s, nil
}

func (t *txn) putSession(s session.Session) error {
	if err := t.put(bSecrets, s.Secret[:], s.ID, s.Expires); err != nil {
		return err
	}
	return t.put(bSessions, []byte(s.ID), sessionRecord{
		Secret: s.Secret[:], Sub: s.Sub, AuthTime: s.AuthTime, ACR: s.ACR, AMR: s.AMR, Created: s.Created, Expires: s.Expires,
	}, s.Expires)
}

func (t *txn) dropSession(id string) error {
	s, err := t.session(id)
	if errors.Is(err, session.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.drop(bSecrets, s.Secret[:]); err != nil {
		return err
	}
	return t.drop(bSessions, []byte(id))
}
