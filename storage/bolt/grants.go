// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"

	"calleridp/provider/grant"
	"calleridp/storage/record"
)

var _ grant.Store = (*Store)(nil)

// ListGrants implements admin.Grants.
func (s *Store) ListGrants(ctx context.Context, after string, most int) ([]grant.Grant, error) {
	return view(ctx, s, func(r reader) (page []grant.Grant, err error) {
		err = r.from(&grants, after, most, func(key, value []byte) error {
			var g grant.Grant
			err := r.open(&grants, key, value, (*record.Grant)(&g))
			page = append(page, g)
			return err
		})
		return page, err
	})
}

// CreateCode implements grant.Store.
func (s *Store) CreateCode(ctx context.Context, code grant.Code) error {
	return s.write(ctx, func(t *txn) error { return t.createCode(code) })
}

// createCode stores a new code, and when its session and consent were used.
func (t *txn) createCode(code grant.Code) error {
	if t.has(&codes, code.Hash[:]) {
		return grant.ErrExists
	}
	g := code.Grant
	if err := t.useSession(g.SID, g.ClientID, g.Created); err != nil {
		return err
	}
	if err := t.useConsent(g.Sub, g.ClientID, g.Created); err != nil {
		return err
	}
	if err := t.putCode(code); err != nil {
		return err
	}
	if !code.Denied {
		if err := t.learn(g); err != nil {
			return err
		}
	}
	return t.redeem(code.Front.Redemption())
}

// Code implements grant.Store.
func (s *Store) Code(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	var code grant.Code
	g, err := view(ctx, s, func(r reader) (g *grant.Grant, err error) {
		code, g, err = r.code(hash)
		return g, err
	})
	if err != nil {
		return grant.Code{}, nil, err
	}
	return code, g, nil
}

// RecallCode implements grant.Store.
func (s *Store) RecallCode(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	return s.Code(ctx, hash)
}

// UseCode implements grant.Store.
func (s *Store) UseCode(
	ctx context.Context, hash grant.CodeHash, use func(grant.Code, *grant.Grant) grant.Redemption,
) (grant.Redemption, error) {
	return update(ctx, s, func(t *txn) (grant.Redemption, error) {
		code, g, err := t.code(hash)
		if err != nil {
			return grant.Redemption{}, err
		}
		redemption := use(code, g)
		return redemption, t.redeem(redemption)
	})
}

// UseGrant implements grant.Store.
func (s *Store) UseGrant(
	ctx context.Context, id string, use func(grant.Grant) grant.Redemption,
) (grant.Redemption, error) {
	return update(ctx, s, func(t *txn) (grant.Redemption, error) {
		g, err := t.grantWith(id)
		if err != nil {
			return grant.Redemption{}, err
		}
		redemption := use(g)
		return redemption, t.redeem(redemption)
	})
}

// redeem stores what a use has decided, refused or not.
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
func (s *Store) AccessToken(ctx context.Context, hash grant.TokenHash) (grant.AccessToken, grant.Grant, error) {
	var token grant.AccessToken
	g, err := view(ctx, s, func(r reader) (grant.Grant, error) {
		if err := r.find(&accessTokens, hash[:], (*record.AccessToken)(&token), grant.ErrNotFound); err != nil {
			return grant.Grant{}, err
		}
		return r.grantWith(token.GrantID)
	})
	if err != nil {
		return grant.AccessToken{}, grant.Grant{}, err
	}
	return token, g, nil
}

// Grant implements grant.Store.
func (s *Store) Grant(ctx context.Context, id string) (grant.Grant, error) {
	return view(ctx, s, func(r reader) (grant.Grant, error) { return r.grantWith(id) })
}

// DropAccessToken implements grant.Store.
func (s *Store) DropAccessToken(ctx context.Context, hash grant.TokenHash) error {
	return s.write(ctx, func(t *txn) error { return t.del(&accessTokens, hash[:]) })
}

// code returns the code with this hash and its stored grant, or grant.ErrNotFound.
func (r reader) code(hash grant.CodeHash) (code grant.Code, g *grant.Grant, err error) {
	if err := r.find(&codes, hash[:], (*record.Code)(&code), grant.ErrNotFound); err != nil {
		return grant.Code{}, nil, err
	}
	g, err = r.grant(code.Grant.ID)
	return code, g, err
}

// grantWith returns the grant with this ID, or grant.ErrNotFound.
func (r reader) grantWith(id string) (g grant.Grant, err error) {
	err = r.find(&grants, []byte(id), (*record.Grant)(&g), grant.ErrNotFound)
	return g, err
}

// grant returns the grant with this ID, nil if there is none.
func (r reader) grant(id string) (*grant.Grant, error) {
	g := &grant.Grant{}
	if found, err := r.get(&grants, []byte(id), (*record.Grant)(g)); !found || err != nil {
		return nil, err
	}
	return g, nil
}

func (t *txn) putCode(code grant.Code) error {
	if err := t.owns(code.Grant, &codes, code.Hash[:]); err != nil {
		return err
	}
	return t.put(&codes, code.Hash[:], code.Kept(), (*record.Code)(&code))
}

func (t *txn) putGrant(g grant.Grant) error {
	if err := t.owns(g, &grants, []byte(g.ID)); err != nil {
		return err
	}
	return t.put(&grants, []byte(g.ID), g.Expires, (*record.Grant)(&g))
}

// owns indexes a grant, or the code for one, by its session and its user.
func (t *txn) owns(g grant.Grant, b *bucket, key []byte) error {
	if err := t.ofPerson(g.Sub, b, key); err != nil {
		return err
	}
	return t.own(&sessionGrants, g.SID, b, key)
}

// revokeGrant revokes a grant, if it matches.
func (t *txn) revokeGrant(id []byte, match func(grant.Grant) bool) error {
	g, err := t.grant(string(id))
	if err != nil || g == nil || g.Revoked || !match(*g) {
		return err
	}
	g.Revoked = true
	return t.putGrant(*g)
}

// voidCode ends a code that was not redeemed, if its grant matches (grant.Code.Voided).
func (t *txn) voidCode(hash []byte, match func(grant.Grant) bool) error {
	var code grant.Code
	found, err := t.get(&codes, hash, (*record.Code)(&code))
	if err != nil || !found || code.Redeemed || !match(code.Grant) {
		return err
	}
	if voided, keep := code.Voided(); keep {
		return t.putCode(voided)
	}
	return t.forget(&codes, hash)
}
