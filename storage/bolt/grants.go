package bolt

import (
	"context"
	"time"

	"calleridp/provider/grant"
)

var _ grant.Store = (*Store)(nil)

type grantRecord struct {
	ClientID   string    `json:"c"`
	Sub        string    `json:"s"`
	SID        string    `json:"sid,omitempty"`
	Scopes     []string  `json:"sc,omitempty"`
	Nonce      string    `json:"n,omitempty"`
	AuthTime   time.Time `json:"at"`
	ACR        string    `json:"acr,omitempty"`
	AMR        []string  `json:"amr,omitempty"`
	Created    time.Time `json:"t"`
	Expires    time.Time `json:"e"`
	Revoked    bool      `json:"x,omitempty"`
	Offline    bool      `json:"o,omitempty"`
	Generation uint32    `json:"g,omitempty"`
	Rotated    time.Time `json:"rt,omitzero"`
}

type codeRecord struct {
	RedirectURI string      `json:"u"`
	Challenge   string      `json:"p,omitempty"`
	GrantID     string      `json:"gi"`
	Grant       grantRecord `json:"g"`
	Expires     time.Time   `json:"e"`
	Redeemed    bool        `json:"r,omitempty"`
}

type tokenRecord struct {
	GrantID string    `json:"g"`
	Scopes  []string  `json:"sc,omitempty"`
	Issued  time.Time `json:"t"`
	Expires time.Time `json:"e"`
}

func (s *Store) CreateCode(ctx context.Context, c grant.Code) error {
	return s.write(ctx, func(tx *txn) error { return tx.putCode(c) })
}

func (s *Store) UseCode(ctx context.Context, hash [32]byte, use func(grant.Code, *grant.Grant) grant.Redemption) error {
	return s.write(ctx, func(tx *txn) error {
		var v codeRecord
		if err := tx.get(bCodes, hash[:], &v); err != nil {
			return orNotFound(err, grant.ErrNotFound)
		}
		c := grant.Code{Hash: hash, RedirectURI: v.RedirectURI, Challenge: v.Challenge,
			Grant: v.Grant.domain(v.GrantID), Expires: v.Expires, Redeemed: v.Redeemed}
		var stored *grant.Grant
		if g, err := tx.grant(v.GrantID); err == nil {
			stored = &g
		} else if err != grant.ErrNotFound {
			return err
		}
		return tx.redeem(use(c, stored))
	})
}

func (s *Store) UseGrant(ctx context.Context, id string, use func(grant.Grant) grant.Redemption) error {
	return s.write(ctx, func(tx *txn) error {
		g, err := tx.grant(id)
		if err != nil {
			return err
		}
		return tx.redeem(use(g))
	})
}

func (t *txn) redeem(r grant.Redemption) error {
	if r.Code != nil {
		if err := t.putCode(*r.Code); err != nil {
			return err
		}
	}
	if r.Grant != nil {
		if err := t.putGrant(*r.Grant); err != nil {
			return err
		}
	}
	if r.Access != nil {
		a := *r.Access
		return t.put(bTokens, a.Hash[:], tokenRecord{GrantID: a.GrantID, Scopes: a.Scopes, Issued: a.Issued, Expires: a.Expires}, a.Expires)
	}
	return nil
}

func (s *Store) AccessToken(_ context.Context, hash [32]byte) (a grant.AccessToken, g grant.Grant, err error) {
	err = s.read(func(r reader) error {
		var v tokenRecord
		if err := r.get(bTokens, hash[:], &v); err != nil {
			return orNotFound(err, grant.ErrNotFound)
		}
		a = grant.AccessToken{Hash: hash, GrantID: v.GrantID, Scopes: v.Scopes, Issued: v.Issued, Expires: v.Expires}
		g, err = r.grant(v.GrantID)
		return err
	})
	if err != nil {
		return grant.AccessToken{}, grant.Grant{}, err
	}
	return a, g, nil
}

func (s *Store) Grant(_ context.Context, id string) (g grant.Grant, err error) {
	err = s.read(func(r reader) error {
		g, err = r.grant(id)
		return err
	})
	return g, err
}

func (s *Store) DropAccessToken(ctx context.Context, hash [32]byte) error {
	return s.write(ctx, func(tx *txn) error { return tx.drop(bTokens, hash[:]) })
}

func (r reader) grant(id string) (grant.Grant, error) {
	var v grantRecord
	if err := r.get(bGrants, []byte(id), &v); err != nil {
		return grant.Grant{}, orNotFound(err, grant.ErrNotFound)
	}
	return v.domain(id), nil
}

// putCode keeps the code until it expires; a redeemed one as long as anything
// that it bought.
func (t *txn) putCode(c grant.Code) error {
	until := c.Expires
	if c.Redeemed && c.Grant.Expires.After(until) {
		until = c.Grant.Expires
	}
	return t.put(bCodes, c.Hash[:], codeRecord{RedirectURI: c.RedirectURI, Challenge: c.Challenge,
		GrantID: c.Grant.ID, Grant: recordOf(c.Grant), Expires: c.Expires, Redeemed: c.Redeemed}, until)
}

func (t *txn) putGrant(g grant.Grant) error {
	if g.SID != "" {
		key := append(append([]byte(g.SID), 0), g.ID...)
		if err := t.put(bSIDs, key, true, g.Expires); err != nil {
			return err
		}
	}
	return t.put(bGrants, []byte(g.ID), recordOf(g), g.Expires)
}

func recordOf(g grant.Grant) grantRecord {
	return grantRecord{ClientID: g.ClientID, Sub: g.Sub, SID: g.SID, Scopes: g.Scopes, Nonce: g.Nonce, AuthTime: g.AuthTime,
		ACR: g.ACR, AMR: g.AMR, Created: g.Created, Expires: g.Expires, Revoked: g.Revoked, Offline: g.Offline,
		Generation: g.Generation, Rotated: g.Rotated}
}

func (v grantRecord) domain(id string) grant.Grant {
	return grant.Grant{ID: id, ClientID: v.ClientID, Sub: v.Sub, SID: v.SID, Scopes: v.Scopes, Nonce: v.Nonce, AuthTime: v.AuthTime,
		ACR: v.ACR, AMR: v.AMR, Created: v.Created, Expires: v.Expires, Revoked: v.Revoked, Offline: v.Offline,
		Generation: v.Generation, Rotated: v.Rotated}
}
