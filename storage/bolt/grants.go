package bolt

import (
	"context"

	"calleridp/provider/grant"
	"calleridp/storage/record"
)

var _ grant.Store = (*Store)(nil)

// CreateCode implements grant.Store.
func (s *Store) CreateCode(ctx context.Context, code grant.Code) error {
	return s.write(ctx, func(t *txn) error { return t.createCode(code) })
}

// createCode keeps a new code, and notes what it was made of.
func (t *txn) createCode(code grant.Code) error {
	if t.has(&codes, code.Hash[:]) {
		return grant.ErrExists
	}
	g := code.Grant
	if err := t.useSession(g.SID, g.Created); err != nil {
		return err
	}
	if err := t.useConsent(g.Sub, g.ClientID, g.Created); err != nil {
		return err
	}
	return t.putCode(code)
}

// UseCode implements grant.Store.
func (s *Store) UseCode(ctx context.Context, hash [32]byte, use func(grant.Code, *grant.Grant) grant.Redemption) error {
	return s.write(ctx, func(t *txn) error {
		var code grant.Code
		found, err := t.get(&codes, hash[:], (*record.Code)(&code))
		if err != nil {
			return err
		}
		if !found {
			return grant.ErrNotFound
		}
		g, err := t.grant(code.Grant.ID)
		if err != nil {
			return err
		}
		return t.redeem(use(code, g))
	})
}

// UseGrant implements grant.Store.
func (s *Store) UseGrant(ctx context.Context, id string, use func(grant.Grant) grant.Redemption) error {
	return s.write(ctx, func(t *txn) error {
		g, err := t.grant(id)
		if err != nil {
			return err
		}
		if g == nil {
			return grant.ErrNotFound
		}
		return t.redeem(use(*g))
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
		return t.put(&accessTokens, r.Access.Hash[:], r.Access.Expires, (*record.AccessToken)(r.Access))
	}
	return nil
}

// AccessToken implements grant.Store.
func (s *Store) AccessToken(ctx context.Context, hash [32]byte) (grant.AccessToken, grant.Grant, error) {
	var token grant.AccessToken
	var g *grant.Grant
	err := s.read(ctx, func(r reader) error {
		found, err := r.get(&accessTokens, hash[:], (*record.AccessToken)(&token))
		if !found || err != nil {
			return err
		}
		g, err = r.grant(token.GrantID)
		return err
	})
	switch {
	case err != nil:
		return grant.AccessToken{}, grant.Grant{}, err
	case g == nil:
		return grant.AccessToken{}, grant.Grant{}, grant.ErrNotFound
	}
	return token, *g, nil
}

// Grant implements grant.Store.
func (s *Store) Grant(ctx context.Context, id string) (grant.Grant, error) {
	var g *grant.Grant
	err := s.read(ctx, func(r reader) (err error) {
		g, err = r.grant(id)
		return err
	})
	switch {
	case err != nil:
		return grant.Grant{}, err
	case g == nil:
		return grant.Grant{}, grant.ErrNotFound
	}
	return *g, nil
}

// DropAccessToken implements grant.Store.
func (s *Store) DropAccessToken(ctx context.Context, hash [32]byte) error {
	return s.write(ctx, func(t *txn) error { return t.del(&accessTokens, hash[:]) })
}

// grant is the grant with this ID, nil if there is none.
func (r reader) grant(id string) (*grant.Grant, error) {
	g := &grant.Grant{}
	if found, err := r.get(&grants, []byte(id), (*record.Grant)(g)); !found || err != nil {
		return nil, err
	}
	return g, nil
}

// putCode keeps a code until it expires; a redeemed one as long as anything that
// it bought, so that its second use is recognised for as long as there is
// something to revoke (RFC 6749 §4.1.2).
func (t *txn) putCode(code grant.Code) error {
	until := code.Expires
	if code.Redeemed && code.Grant.Expires.After(until) {
		until = code.Grant.Expires
	}
	if err := t.owns(code.Grant, &codes, code.Hash[:]); err != nil {
		return err
	}
	return t.put(&codes, code.Hash[:], until, (*record.Code)(&code))
}

func (t *txn) putGrant(g grant.Grant) error {
	if err := t.owns(g, &grants, []byte(g.ID)); err != nil {
		return err
	}
	return t.put(&grants, []byte(g.ID), g.Expires, (*record.Grant)(&g))
}

// owns makes a grant, or the code for one, be found by its session and person.
func (t *txn) owns(g grant.Grant, b *bucket, key []byte) error {
	if err := t.ofPerson(g.Sub, b, key); err != nil {
		return err
	}
	return t.own(&sessionGrants, g.SID, b, key)
}

// revokeGrant revokes a grant, if it is one of those.
func (t *txn) revokeGrant(id []byte, those func(grant.Grant) bool) error {
	g, err := t.grant(string(id))
	if err != nil || g == nil || g.Revoked || !those(*g) {
		return err
	}
	g.Revoked = true
	return t.putGrant(*g)
}

// voidCode deletes a code that nobody has redeemed yet, if its grant is one of
// those.
func (t *txn) voidCode(hash []byte, those func(grant.Grant) bool) error {
	var code grant.Code
	found, err := t.get(&codes, hash, (*record.Code)(&code))
	if err != nil || !found || code.Redeemed || !those(code.Grant) {
		return err
	}
	return t.forget(&codes, hash)
}
