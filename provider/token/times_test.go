// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider"
	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/redact"
)

// slowGrants is a store that takes its time to read.
type slowGrants struct{ grant.Store }

const slowness = 3 * time.Second

func (g slowGrants) RecallCode(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	return g.Code(ctx, hash)
}

func (g slowGrants) Code(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	time.Sleep(slowness)
	return g.Store.Code(ctx, hash)
}

func (g slowGrants) Grant(ctx context.Context, id string) (grant.Grant, error) {
	time.Sleep(slowness)
	return g.Store.Grant(ctx, id)
}

// Tokens are dated when they are made, however long the reads before took. An ID token is
// never older than the approval in it.
func TestTokensAreDatedWhenTheyAreMade(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w, oauth := testworld.NewNative(t, func(c *testworld.Config) { c.Provider.Grants = slowGrants{c.Provider.Grants} })
		dated := func(what string, got testworld.Tokens) {
			t.Helper()
			now := time.Now()
			id := got.Claims(t)
			if issued := testworld.Seconds(id["iat"]); !issued.Equal(now.Truncate(time.Second)) || issued.Before(testworld.Seconds(id["auth_time"])) {
				t.Errorf("%s: got iat %s and auth_time %s, want iat %s", what, issued, testworld.Seconds(id["auth_time"]), now)
			}
			token, g, err := w.Store.AccessToken(t.Context(), grant.HashToken(redact.Text(got.Access)))
			if err != nil || !token.Issued.Equal(now) || !g.Rotated.Equal(now) {
				t.Errorf("%s: got the token issued at %s and the family rotated at %s, %v, want %s", what, token.Issued, g.Rotated, err, now)
			}
		}
		got, _ := w.Tokens("app", "openid offline_access")
		dated("a code", got)
		time.Sleep(time.Minute)
		got = testworld.TokensIn(t, w.Refresh("app", got.Refresh))
		dated("a refresh", got)
		oauth.Meanwhile = func() { time.Sleep(slowness) }
		native := w.NativeTokens("native", "scope", "openid offline_access")
		dated("a native sign-in", native)
		if exp := testworld.Seconds(native.JSON()["expires_in"]); exp.Unix() != 3600 {
			t.Errorf("a native sign-in: got expires_in %d, want 3600", exp.Unix())
		}
	})
}

// slowKeys take their time to sign.
type slowKeys struct{ provider.Keys }

func (k slowKeys) Sign(alg, typ string, payload []byte) (string, error) {
	time.Sleep(slowness)
	return k.Keys.Sign(alg, typ, payload)
}

// A use is decided, and its tokens are dated, after everything that may take a while: a
// code or a refresh token that expires while the ID token is signed has expired.
func TestAUseIsDecidedAfterSigning(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, func(c *testworld.Config) {
			c.Provider.Ring = slowKeys{c.Provider.Ring}
			c.Provider.Lifetimes.RefreshIdle = time.Minute
		})
		dated := func(what string, got testworld.Tokens) {
			t.Helper()
			token, g, err := w.Store.AccessToken(t.Context(), grant.HashToken(redact.Text(got.Access)))
			if now := time.Now(); err != nil || !token.Issued.Equal(now) || !g.Rotated.Equal(now) {
				t.Errorf("%s: got the token issued at %s and the family rotated at %s, %v, want %s", what, token.Issued, g.Rotated, err, now)
			}
		}
		got, session := w.Tokens("app", "openid offline_access")
		dated("a code", got)
		time.Sleep(time.Second)
		got = testworld.TokensIn(t, w.Refresh("app", got.Refresh))
		dated("a refresh", got)
		time.Sleep(time.Minute - slowness)
		w.Refresh("app", got.Refresh).WantOAuthError(t, "a refresh token that expires meanwhile", 400, "invalid_grant")
		code := w.Code(session, "app")
		time.Sleep(time.Minute - slowness)
		w.Exchange("app", code).WantOAuthError(t, "a code that expires meanwhile", 400, "invalid_grant")
	})
}
