// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"context"
	"strings"
	"testing"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/redact"
	"calleridp/provider/subject"
)

type failingGrants struct {
	grant.Store
	*testworld.Breaks
}

func (g failingGrants) RecallCode(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	return g.Code(ctx, hash)
}

func (g failingGrants) Code(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	if err := g.Err("reading the code"); err != nil {
		return grant.Code{}, nil, err
	}
	return g.Store.Code(ctx, hash)
}

func (g failingGrants) AccessToken(ctx context.Context, hash grant.TokenHash) (grant.AccessToken, grant.Grant, error) {
	if err := g.Err("reading the token"); err != nil {
		return grant.AccessToken{}, grant.Grant{}, err
	}
	return g.Store.AccessToken(ctx, hash)
}

func (g failingGrants) Grant(ctx context.Context, id string) (grant.Grant, error) {
	if err := g.Err("reading the grant"); err != nil {
		return grant.Grant{}, err
	}
	if g.Err("it is gone") != nil {
		return grant.Grant{}, grant.ErrNotFound
	}
	return g.Store.Grant(ctx, id)
}

func (g failingGrants) UseCode(
	ctx context.Context, hash grant.CodeHash, use func(grant.Code, *grant.Grant) grant.Redemption,
) (grant.Redemption, error) {
	if err := g.Err("using the code"); err != nil {
		return grant.Redemption{}, err
	}
	if g.Err("it is gone") != nil {
		return grant.Redemption{}, grant.ErrNotFound
	}
	return g.Store.UseCode(ctx, hash, use)
}

func (g failingGrants) UseGrant(
	ctx context.Context, id string, use func(grant.Grant) grant.Redemption,
) (grant.Redemption, error) {
	if err := g.Err("using the grant"); err != nil {
		return grant.Redemption{}, err
	}
	if g.Err("it is gone") != nil {
		return grant.Redemption{}, grant.ErrNotFound
	}
	return g.Store.UseGrant(ctx, id, use)
}

type failingPeople struct {
	subject.Store
	*testworld.Breaks
}

func (p failingPeople) Person(ctx context.Context, sub string) (subject.Person, error) {
	if err := p.Err("reading the person"); err != nil {
		return subject.Person{}, err
	}
	if p.Err("the person is gone") != nil {
		return subject.Person{}, subject.ErrNotFound
	}
	return p.Store.Person(ctx, sub)
}

type failingKeys struct {
	*keys.Ring
	*testworld.Breaks
}

func (k failingKeys) Sign(alg, typ string, payload []byte) (string, error) {
	if err := k.Err("signing"); err != nil {
		return "", err
	}
	return k.Ring.Sign(alg, typ, payload)
}

func breakable(f *testworld.Breaks) func(*testworld.Config) {
	return func(c *testworld.Config) {
		c.Provider.Grants = failingGrants{c.Provider.Grants, f}
		c.Provider.People = failingPeople{c.Provider.People, f}
		c.Provider.Ring = failingKeys{testworld.Ring(), f}
	}
}

// Our own failure is a server_error, never invalid_grant, for which clients sign
// their user out; and it uses nothing up, whatever has failed.
func TestInvariant9_OurFailureUsesNothingUp(t *testing.T) {
	f := new(testworld.Breaks)
	w := testworld.New(t, breakable(f))
	_, session := w.Tokens("app", "openid")

	code := w.Code(session, "app", "scope", testworld.AllScopes)
	for _, part := range []string{"reading the code", "reading the person", "signing", "using the code"} {
		f.Op = part
		w.Exchange("app", code).WantOAuthError(t, part, 500, "server_error")
	}
	f.Op = ""
	got := testworld.TokensIn(t, w.Exchange("app", code))

	for _, part := range []string{"reading the grant", "reading the person", "signing", "using the grant"} {
		f.Op = part
		w.Refresh("app", got.Refresh).WantOAuthError(t, part, 500, "server_error")
	}
	f.Op = ""
	next := testworld.TokensIn(t, w.Refresh("app", got.Refresh))
	g, err := w.Store.Grant(t.Context(), grantOf(t, w, next.Access))
	if err != nil || g.Generation != 2 || g.Repeats != 0 {
		t.Errorf("the grant: got %+v, %v, want one rotation", g, err)
	}

	// A second use of a code that cannot be revoked is no invalid_grant either.
	f.Op = "using the code"
	w.Exchange("app", code).WantOAuthError(t, "a second use that cannot be revoked", 500, "server_error")
	w.Userinfo(next.Access).WantStatus(t, "userinfo after it", 200)
	f.Op = ""
	w.Exchange("app", code).WantOAuthError(t, "the second use", 400, "invalid_grant")
	w.Userinfo(next.Access).WantStatus(t, "userinfo after the second use", 401)
}

// A token whose state cannot be read is neither good nor bad.
func TestOurFailureIsNoVerdictOnAToken(t *testing.T) {
	f := new(testworld.Breaks)
	w := testworld.New(t, breakable(f))
	got, _ := w.Tokens("app", testworld.AllScopes)
	introspect := func(token string) testworld.Response { return w.Introspect(token, "app", testworld.Secret) }
	for _, part := range []string{"reading the token", "reading the person"} {
		f.Op = part
		introspect(got.Access).WantOAuthError(t, part+" to introspect", 500, "server_error")
		w.Userinfo(got.Access).WantStatus(t, part+" for userinfo", 500)
	}
	for _, part := range []string{"reading the grant", "reading the person"} {
		f.Op = part
		introspect(got.Refresh).WantOAuthError(t, part+" to introspect a refresh token", 500, "server_error")
	}
	f.Op = "it is gone"
	if a := introspect(got.Refresh); a.StatusCode != 200 || a.JSON()["active"] != false {
		t.Errorf("a refresh token without a grant: got %v, want it inactive", a)
	}
	f.Op = ""
	if a := introspect(got.Refresh); a.JSON()["active"] != true {
		t.Errorf("the refresh token afterwards: got %v, want it active", a)
	}
}

// What was there when it was looked at may be gone when it is used: the user has
// deleted their account, or the session has ended.
func TestInvariant9_WhatIsGoneWhenItIsUsed(t *testing.T) {
	f := new(testworld.Breaks)
	w := testworld.New(t, breakable(f))
	got, session := w.Tokens("app", testworld.AllScopes)
	code := w.Code(session, "app")
	f.Op = "it is gone"
	w.Exchange("app", code).WantOAuthError(t, "a code", 400, "invalid_grant")
	w.Refresh("app", got.Refresh).WantOAuthError(t, "a refresh token", 400, "invalid_grant")
	f.Op = "the person is gone"
	w.Exchange("app", code).WantOAuthError(t, "a code of a deleted user", 400, "invalid_grant")
	w.Refresh("app", got.Refresh).WantOAuthError(t, "a refresh token of a deleted user", 400, "invalid_grant")

	native, _ := testworld.NewNative(t, breakable(f))
	a := native.Post("/token", testworld.ExchangeRequest("native"))
	a.WantOAuthError(t, "a native sign-in of a deleted user", 400, "invalid_request")
	if says := a.Member("error_description"); !strings.Contains(says, "deleted") {
		t.Errorf("a native sign-in of a deleted user: got %q, want the reason", says)
	}
	f.Op = ""
	native.NativeTokens("native", "subject_token", "another-code")
	f.Op = "it is gone"
	again := testworld.ExchangeRequest("native", "subject_token", "another-code")
	native.Post("/token", again).WantOAuthError(t, "a second use whose grant is gone", 400, "invalid_request")
}

func grantOf(t *testing.T, w *testworld.World, access string) string {
	t.Helper()
	_, g, err := w.Store.AccessToken(t.Context(), grant.HashToken(redact.Text(access)))
	if err != nil {
		t.Fatal(err)
	}
	return g.ID
}

// Truecaller's code is used up at Truecaller. What we could not give it for is not
// stored, and the application is not told that the code was wrong.
func TestInvariant9_OurFailureIssuesNothingNatively(t *testing.T) {
	for _, part := range []string{"reading the person", "signing"} {
		f := new(testworld.Breaks)
		w, _ := testworld.NewNative(t, breakable(f))
		f.Op = part
		w.Post("/token", testworld.ExchangeRequest("native")).WantOAuthError(t, part, 500, "server_error")
		f.Op = ""
		w.WantLogged(`"attempt.failed"`, `"not_issued"`)
		w.NativeTokens("native", "subject_token", "another-code")
	}
	f := new(testworld.Breaks)
	w, _ := testworld.NewNative(t, breakable(f))
	out := w.NativeTokens("native")
	f.Op = "using the grant"
	w.Post("/token", testworld.ExchangeRequest("native")).WantOAuthError(t, "a reuse that cannot be revoked", 500, "server_error")
	f.Op = ""
	w.Post("/token", testworld.ExchangeRequest("native")).WantOAuthError(t, "the reuse again", 400, "invalid_request")
	w.Userinfo(out.Access).WantStatus(t, "userinfo after the reuse", 401)
}

// The policies are asked before a code is used: a client that may have it again
// still can.
func TestPoliciesAreAskedBeforeACodeIsUsed(t *testing.T) {
	w := testworld.New(t)
	c := testworld.App("")
	c.SecretHashes = nil
	c, secret := w.AddClient(c)
	done, _ := w.SignIn(testworld.AuthRequest("app", "client_id", c.ID, "scope", testworld.AllScopes), testworld.Number)
	code := testworld.Param(done.Response, "code")
	restrict := func(scopes ...string) {
		t.Helper()
		err := w.Store.UpdateClient(t.Context(), c.ID, func(c *client.Client) error { c.Scopes = scopes; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	redeem := func() testworld.Response {
		return w.Post("/token", testworld.CodeRequest("app", code), testworld.Basic(c.ID, secret))
	}
	restrict("openid") // without offline_access the grant is nothing
	redeem().WantOAuthError(t, "a code that the client may not have", 400, "invalid_grant")
	restrict("openid", "offline_access")
	redeem().WantStatus(t, "a code that it may have again", 200)
}
