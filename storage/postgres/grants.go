// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/storage/record"
)

var _ grant.Store = (*Store)(nil)

// CreateCode implements grant.Store.
func (s *Store) CreateCode(ctx context.Context, code grant.Code) error {
	run := s.write
	if _, known := s.memory.get(at(&record.Consents, consentKey(code.Grant.Sub, code.Grant.ClientID))); known {
		run = s.guess
	}
	return run(ctx, func(t *txn) error {
		t.living(code.Grant.Sub)
		stored := t.codeUses(code, true)
		if err := t.look(); err != nil {
			return err
		}
		return t.createCode(code, stored)
	})
}

// codeUses is what is stored of the code that is to be created, and of what it uses.
type codeUses struct {
	exists       *bool // nil: not looked for; if it does, the transaction runs again
	session      session.Session
	foundSession *bool // nil: the code has no session, or not one to look for
	consent      consent.Consent
	foundConsent *bool // nil: not looked for
}

// codeUses queues queries that lock what a new code uses. In a guess, an existing code
// ends the transaction.
func (t *txn) codeUses(code grant.Code, withConsent bool) *codeUses {
	u := &codeUses{}
	g := code.Grant
	if withConsent {
		u.foundConsent = t.row(&record.Consents, (*record.Consent)(&u.consent), consentKey(g.Sub, g.ClientID))
	}
	switch {
	case g.SID == "":
	case t.guesses:
		u.foundSession = t.guessSession(&u.session, g.SID)
	default:
		u.foundSession = t.sessionWith(&u.session, g.SID, " FOR NO KEY UPDATE")
	}
	if t.guesses {
		return u
	}
	u.exists = t.some("SELECT FROM codes WHERE key = $1", code.Hash[:])
	return u
}

// createCode queues a new code, and when its session and consent were used.
func (t *txn) createCode(code grant.Code, u *codeUses) error {
	g := code.Grant
	if u.exists != nil && *u.exists {
		return grant.ErrExists
	}
	if u.foundSession != nil {
		if !*u.foundSession {
			return session.ErrNotFound
		}
		if used, changed := u.session.Used(g.ClientID, g.Created); changed {
			t.storeSession(used)
		}
	}
	if u.foundConsent != nil && *u.foundConsent && g.Created.After(u.consent.LastUsed) {
		u.consent.LastUsed = g.Created
		t.putConsent(u.consent)
	}
	if !code.Denied {
		t.teach(g)
	}
	key := code.Hash[:]
	value := t.s.sealer.Seal(&record.Codes, key, code.Kept(), (*record.Code)(&code))
	t.put("INSERT INTO codes (key, grant_id, sid, sub, value, expires, due) VALUES ($1, $2, $3, $4, $5, $6, $6)",
		key, []byte(g.ID), []byte(g.SID), []byte(g.Sub), value, expiryOf(value))
	t.learn(&record.Codes, key, value)
	t.learn(&record.Grants, []byte(g.ID), nil)
	t.redeem(code.Front.Redemption())
	return nil
}

// Code implements grant.Store.
func (s *Store) Code(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	var code grant.Code
	g, err := view(ctx, s, func(b *batch) func() (*grant.Grant, error) {
		var result func() (*grant.Grant, error)
		code = grant.Code{}
		result = b.code(&code, hash, "")
		b.bringPerson(ctx, "SELECT sub FROM codes WHERE key = $1", hash[:])
		return result
	})
	if err != nil {
		return grant.Code{}, nil, err
	}
	return code, g, nil
}

// RecallCode implements grant.Store. It recalls a code that this server has last seen
// unused: anything else is read.
func (s *Store) RecallCode(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	var code grant.Code
	row, known := s.memory.get(at(&record.Codes, hash[:]))
	if !known || row.value == nil || !brings(ctx) || s.open(&record.Codes, hash[:], row.value, (*record.Code)(&code)) != nil {
		return s.Code(ctx, hash)
	}
	redeemed, grantKnown := s.memory.get(at(&record.Grants, []byte(code.Grant.ID)))
	user := at(&record.People, []byte(code.Grant.Sub))
	person, personKnown := s.memory.get(user)
	if !grantKnown || redeemed.value != nil || !personKnown || person.value == nil {
		return s.Code(ctx, hash)
	}
	recall(ctx, at(&record.Codes, hash[:]), row.value)
	recall(ctx, user, person.value)
	return code, nil, ctx.Err()
}

// code queues queries for a code and its grant.
func (b *batch) code(code *grant.Code, hash grant.CodeHash, lock string) func() (*grant.Grant, error) {
	g := &grant.Grant{}
	found := b.rowOf(&record.Codes, (*record.Code)(code), hash[:], lock)
	redeemed := b.one(&record.Grants, (*record.Grant)(g),
		"SELECT key, value FROM grants WHERE key = (SELECT grant_id FROM codes WHERE key = $1)"+lock, hash[:])
	return func() (*grant.Grant, error) {
		switch {
		case !*found:
			return nil, grant.ErrNotFound
		case !*redeemed:
			b.s.memory.put(at(&record.Grants, []byte(code.Grant.ID)), nil, moment{})
			return nil, nil
		case g.ID != code.Grant.ID:
			return nil, misled("codes")
		}
		return g, nil
	}
}

// guessCode is code for a guess; in a transaction that reads it is nothing.
func (t *txn) guessCode(code *grant.Code, hash grant.CodeHash) func() (*grant.Grant, error) {
	if !t.guesses {
		return nil
	}
	g := &grant.Grant{}
	found := *t.row(&record.Codes, (*record.Code)(code), hash[:])
	redeemed := found && *t.row(&record.Grants, (*record.Grant)(g), []byte(code.Grant.ID))
	if exists, guessed := t.guessedOf(&record.People, []byte(code.Grant.Sub)); !guessed || !exists {
		t.put("SELECT FROM people WHERE key = $1 FOR KEY SHARE", []byte(code.Grant.Sub))
	}
	return func() (*grant.Grant, error) {
		switch {
		case !found:
			return nil, grant.ErrNotFound
		case !redeemed:
			return nil, nil
		}
		return g, nil
	}
}

// misled is the error for a record that is not the one to which another column leads:
// the database was changed from outside.
func misled(table string) error {
	return fmt.Errorf("postgres: a row of %s leads to another record than its value does: %w", table, record.ErrUnreadable)
}

// UseCode implements grant.Store.
func (s *Store) UseCode(
	ctx context.Context, hash grant.CodeHash, use func(grant.Code, *grant.Grant) grant.Redemption,
) (grant.Redemption, error) {
	run := update[grant.Redemption]
	by := recalled(ctx)
	if _, known := s.memory.get(at(&record.Codes, hash[:])); known || len(by) > 0 {
		run = guessing[grant.Redemption]
	}
	return run(ctx, s, func(t *txn) (grant.Redemption, error) {
		if len(by) > 0 && !t.guesses {
			return grant.Redemption{}, grant.ErrChanged
		}
		t.guards = append(t.guards, by...)
		var code grant.Code
		stored := t.guessCode(&code, hash)
		// The user first, as everywhere: a user who is being deleted waits for the grant,
		// or has taken the code with them.
		if !t.guesses {
			t.run("SELECT FROM people WHERE key = (SELECT sub FROM codes WHERE key = $1) FOR KEY SHARE", hash[:])
			stored = t.code(&code, hash, " FOR UPDATE")
		}
		if err := t.look(); err != nil {
			return grant.Redemption{}, err
		}
		g, err := stored()
		if err != nil {
			return grant.Redemption{}, err
		}
		redemption := use(code, g)
		t.redeem(redemption)
		return redemption, nil
	})
}

// UseGrant implements grant.Store.
func (s *Store) UseGrant(
	ctx context.Context, id string, use func(grant.Grant) grant.Redemption,
) (grant.Redemption, error) {
	run := update[grant.Redemption]
	if _, known := s.memory.get(at(&record.Grants, []byte(id))); known {
		run = guessing[grant.Redemption]
	}
	return run(ctx, s, func(t *txn) (grant.Redemption, error) {
		var g grant.Grant
		found := t.row(&record.Grants, (*record.Grant)(&g), []byte(id))
		if err := t.look(); err != nil {
			return grant.Redemption{}, err
		}
		if !*found {
			return grant.Redemption{}, grant.ErrNotFound
		}
		redemption := use(g)
		t.redeem(redemption)
		return redemption, nil
	})
}

// redeem queues what a use has decided, refused or not.
func (t *txn) redeem(r grant.Redemption) {
	if r.Code != nil {
		t.storeCode(*r.Code)
	}
	if r.Grant != nil {
		t.putGrant(*r.Grant)
	}
	if r.Access != nil {
		key := r.Access.Hash[:]
		value := t.s.sealer.Seal(&record.AccessTokens, key, r.Access.Expires, (*record.AccessToken)(r.Access))
		t.put(`INSERT INTO access_tokens (key, grant_id, value, expires, due) VALUES ($1, $2, $3, $4, $4)
			ON CONFLICT (key) DO UPDATE SET grant_id = EXCLUDED.grant_id, value = EXCLUDED.value, expires = EXCLUDED.expires, due = EXCLUDED.due`,
			key, []byte(r.Access.GrantID), value, expiryOf(value))
	}
}

// storeCode queues a changed code. It stays as long as anything that may ask for it
// (grant.Code.Kept).
func (t *txn) storeCode(code grant.Code) {
	key := code.Hash[:]
	value := t.s.sealer.Seal(&record.Codes, key, code.Kept(), (*record.Code)(&code))
	t.put("UPDATE codes SET value = $2, expires = $3 WHERE key = $1", key, value, expiryOf(value))
	t.learn(&record.Codes, key, value)
}

func (t *txn) putGrant(g grant.Grant) {
	key := []byte(g.ID)
	value := t.s.sealer.Seal(&record.Grants, key, g.Expires, (*record.Grant)(&g))
	switch exists, guessed := t.guessedOf(&record.Grants, key); {
	case guessed && exists:
		t.put("UPDATE grants SET value = $2, expires = $3 WHERE key = $1", key, value, expiryOf(value))
	case guessed:
		t.put("INSERT INTO grants (key, sid, sub, value, expires, due) VALUES ($1, $2, $3, $4, $5, $5)",
			key, []byte(g.SID), []byte(g.Sub), value, expiryOf(value))
	default:
		t.put(`INSERT INTO grants (key, sid, sub, value, expires, due) VALUES ($1, $2, $3, $4, $5, $5)
			ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires, due = least(grants.due, EXCLUDED.due)`,
			key, []byte(g.SID), []byte(g.Sub), value, expiryOf(value))
	}
	t.learn(&record.Grants, key, value)
}

// AccessToken implements grant.Store.
func (s *Store) AccessToken(ctx context.Context, hash grant.TokenHash) (grant.AccessToken, grant.Grant, error) {
	var token grant.AccessToken
	g, err := view(ctx, s, func(b *batch) func() (grant.Grant, error) {
		token = grant.AccessToken{}
		var g grant.Grant
		found := b.one(&record.AccessTokens, (*record.AccessToken)(&token),
			"SELECT key, value FROM access_tokens WHERE key = $1", hash[:])
		granted := b.one(&record.Grants, (*record.Grant)(&g),
			"SELECT key, value FROM grants WHERE key = (SELECT grant_id FROM access_tokens WHERE key = $1)", hash[:])
		b.bringPerson(ctx, "SELECT g.sub FROM access_tokens t JOIN grants g ON g.key = t.grant_id WHERE t.key = $1", hash[:])
		return func() (grant.Grant, error) {
			switch {
			case !*found || !*granted:
				return grant.Grant{}, grant.ErrNotFound
			case g.ID != token.GrantID:
				return grant.Grant{}, misled("access_tokens")
			}
			return g, nil
		}
	})
	if err != nil {
		return grant.AccessToken{}, grant.Grant{}, err
	}
	return token, g, nil
}

// ListGrants implements admin.Grants.
func (s *Store) ListGrants(ctx context.Context, after string, most int) ([]grant.Grant, error) {
	return view(ctx, s, func(b *batch) func() ([]grant.Grant, error) {
		var page []grant.Grant
		b.each("SELECT key, value FROM grants WHERE key > $1 AND value <> '' AND expires > now() ORDER BY key LIMIT $2", []any{[]byte(after), most}, func(key, value []byte) error {
			var g grant.Grant
			err := b.s.sealer.Open(&record.Grants, key, value, (*record.Grant)(&g))
			page = append(page, g)
			return err
		})
		return func() ([]grant.Grant, error) { return page, nil }
	})
}

// Grant implements grant.Store.
func (s *Store) Grant(ctx context.Context, id string) (grant.Grant, error) {
	return view(ctx, s, func(b *batch) func() (grant.Grant, error) {
		var g grant.Grant
		found := b.see(&record.Grants, (*record.Grant)(&g), []byte(id))
		b.bringPerson(ctx, "SELECT sub FROM grants WHERE key = $1", []byte(id))
		return func() (grant.Grant, error) {
			if !*found {
				return grant.Grant{}, grant.ErrNotFound
			}
			return g, nil
		}
	})
}

// DropAccessToken implements grant.Store.
func (s *Store) DropAccessToken(ctx context.Context, hash grant.TokenHash) error {
	return s.once(ctx, "DELETE FROM access_tokens WHERE key = $1", hash[:])
}

// grantsOf queues queries that lock the codes of an owner and then the grants: a code
// that was being redeemed has left its grant by then. column is sid or sub. end queues
// what revokes the grants that match, and deletes the matching codes that were not
// redeemed.
func (t *txn) grantsOf(column string, owner []byte) (all *[]grant.Grant, end func(match func(grant.Grant) bool)) {
	return t.grantsWhere(column+" = $1 AND "+column+" <> ''", owner)
}

// grantsWhere is grantsOf for a condition with one argument.
func (t *txn) grantsWhere(condition string, arg any) (all *[]grant.Grant, end func(match func(grant.Grant) bool)) {
	var allCodes []grant.Code
	var allGrants []grant.Grant
	of := " WHERE " + condition + " ORDER BY key FOR UPDATE"
	t.each("SELECT key, value FROM codes"+of, []any{arg}, func(key, value []byte) error {
		var c grant.Code
		err := t.s.sealer.Open(&record.Codes, key, value, (*record.Code)(&c))
		allCodes = append(allCodes, c)
		return err
	})
	t.each("SELECT key, value FROM grants"+of, []any{arg}, func(key, value []byte) error {
		var g grant.Grant
		err := t.s.sealer.Open(&record.Grants, key, value, (*record.Grant)(&g))
		allGrants = append(allGrants, g)
		return err
	})
	return &allGrants, func(match func(grant.Grant) bool) {
		for _, c := range allCodes {
			if c.Redeemed || !match(c.Grant) {
				continue
			}
			if voided, keep := c.Voided(); keep {
				t.storeCode(voided)
			} else {
				t.put("DELETE FROM codes WHERE key = $1", c.Hash[:])
			}
		}
		for _, g := range allGrants {
			if !g.Revoked && match(g) {
				g.Revoked = true
				t.putGrant(g)
			}
		}
	}
}

// endingGrants queues a query that locks the grants of a user, which the transaction
// deletes, and returns those that have not expired and can be read.
func (t *txn) endingGrants(sub string) *[]grant.Grant {
	var found []grant.Grant
	t.rows("SELECT key, value FROM grants WHERE sub = $1 ORDER BY key FOR UPDATE", []any{[]byte(sub)}, func(key, value []byte) {
		var g grant.Grant
		if !t.s.expired(value) && t.s.sealer.Open(&record.Grants, key, value, (*record.Grant)(&g)) == nil {
			found = append(found, g)
		}
	})
	return &found
}

// online reports whether a grant ends with its session.
func online(g grant.Grant) bool { return !g.Offline }
