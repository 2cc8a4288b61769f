// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"context"
	"testing"

	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
)

// forgetful is a store that recalls codes as they were made, and finds that out when one is
// used.
type forgetful struct {
	grant.Store
	made  map[grant.CodeHash]grant.Code
	wrong *bool // it has just recalled
	tries *int
}

func (g forgetful) Code(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	*g.wrong = false
	return g.Store.Code(ctx, hash)
}

func (g forgetful) RecallCode(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	*g.wrong = true
	code, stored, err := g.Store.Code(ctx, hash)
	if before, ok := g.made[hash]; ok {
		return before, nil, err
	}
	g.made[hash] = code
	return code, stored, err
}

func (g forgetful) UseCode(
	ctx context.Context, hash grant.CodeHash, use func(grant.Code, *grant.Grant) grant.Redemption,
) (grant.Redemption, error) {
	*g.tries++
	if *g.wrong {
		return grant.Redemption{}, grant.ErrChanged
	}
	return g.Store.UseCode(ctx, hash, use)
}

// What was recalled and is not so any more decides nothing: the code and its user are read,
// and everything is decided again (invariant 9).
func TestInvariant9_ARecalledCodeThatHasChanged(t *testing.T) {
	wrong, tries := false, 0
	w := testworld.New(t, func(c *testworld.Config) {
		c.Provider.Grants = forgetful{c.Provider.Grants, map[grant.CodeHash]grant.Code{}, &wrong, &tries}
	})
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	code := w.Code(session, "app")
	first := w.Exchange("app", code)
	if first.StatusCode != 200 || tries != 2 {
		t.Fatalf("redeeming: got %v after %d tries, want tokens after two", first, tries)
	}
	second := w.Exchange("app", code)
	second.WantOAuthError(t, "redeeming again, recalled as unused", 400, "invalid_grant")
}
