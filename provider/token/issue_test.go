// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/internal/testworld"
)

// The claims about a user are the same in the first ID token, in a refreshed one
// and at userinfo, for a public sub and for a pairwise one.
func TestSameClaimsEverywhere(t *testing.T) {
	w := testworld.New(t)
	subs := map[any]bool{}
	for _, id := range []string{"app", "pair"} {
		got, _ := w.Tokens(id, testworld.AllScopes)
		first, second := got.Claims(t), testworld.TokensIn(t, w.Refresh(id, got.Refresh)).Claims(t)
		info := w.Userinfo(got.Access)
		if info.StatusCode != 200 || !strings.HasPrefix(info.Header.Get("Content-Type"), "application/json") {
			t.Fatalf("userinfo for %s: got %v of type %s, want 200 and JSON", id, info, info.Header.Get("Content-Type"))
		}
		if second["auth_time"] != first["auth_time"] || second["sid"] != first["sid"] || second["nonce"] != nil {
			t.Errorf("refreshed ID token of %s: got %v, want auth_time and sid of %v and no nonce", id, second, first)
		}
		// These are about the token, not about the user.
		own := []string{"iss", "aud", "azp", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}
		want := without(first, own...)
		if got := without(second, own...); !reflect.DeepEqual(got, want) {
			t.Errorf("refreshed claims of %s: got\n%v\nwant\n%v", id, got, want)
		}
		if got := info.JSON(); !reflect.DeepEqual(got, want) {
			t.Errorf("userinfo for %s: got\n%v\nwant\n%v", id, got, want)
		}
		for _, claim := range []string{
			"sub", "name", "given_name", "family_name", "picture", "gender", "updated_at", "preferred_username",
			"email", "phone_number", "phone_number_verified_at", "address", "truecaller",
		} {
			if first[claim] == nil {
				t.Errorf("ID token of %s: got no %s, want one", id, claim)
			}
		}
		if v := first["email_verified"]; v != false {
			t.Errorf("email_verified of %s: got %v, want false", id, v)
		}
		subs[first["sub"]] = true
	}
	if len(subs) != 2 {
		t.Errorf("subs: got %v, want another one for the pairwise client", subs)
	}
}

// without returns m without some names.
func without(m map[string]any, names ...string) map[string]any {
	m = maps.Clone(m)
	for _, name := range names {
		delete(m, name)
	}
	return m
}

// A user whose number belongs to another user now does not get it as a claim:
// neither at a refresh nor at userinfo. The session has ended.
func TestThreat_ALostNumberIsNotClaimed(t *testing.T) {
	w := testworld.New(t)
	got, old := w.Tokens("app", testworld.AllScopes)
	if !w.SignedIn(old) {
		t.Fatal("not signed in")
	}
	if claims := got.Claims(t); claims["phone_number"] != testworld.Number {
		t.Fatalf("before: got %v, want the number", claims)
	}
	request := testworld.AuthRequest("app", "scope", testworld.AllScopes)
	done, _ := w.SignInAs(request, testworld.AnotherProfile(t, testworld.Number))
	next := testworld.TokensIn(t, w.Exchange("app", testworld.Param(done.Response, "code")))
	if claims := next.Claims(t); claims["phone_number"] != testworld.Number || claims["phone_number_verified"] != true {
		t.Errorf("the new user: got %v, want the verified number", claims)
	}
	for what, claims := range map[string]map[string]any{
		"refresh":  testworld.TokensIn(t, w.Refresh("app", got.Refresh)).Claims(t),
		"userinfo": w.Userinfo(got.Access).JSON(),
	} {
		t.Run(what, func(t *testing.T) {
			if claims["sub"] == nil {
				t.Errorf("the old user: got %v, want a sub", claims)
			}
			for _, name := range []string{"phone_number", "phone_number_verified", "phone_number_verified_at"} {
				if claims[name] != nil {
					t.Errorf("%s of the old user: got %v, want none", name, claims[name])
				}
			}
		})
	}
}

// What vouched for a session is another user's now.
func TestThreat_ALostNumberKeepsNoSession(t *testing.T) {
	w := testworld.New(t)
	got, old := w.Tokens("app", "openid")
	w.SignInAs(testworld.AuthRequest("app"), testworld.AnotherProfile(t, testworld.Number))
	if w.SignedIn(old) {
		t.Error("the user who lost the number is signed in")
	}
	if r := w.Userinfo(got.Access); r.StatusCode != 401 {
		t.Errorf("userinfo with a token of that session: got %v, want 401", r)
	}
}

// An ID token is that of its response and its request: at_hash, nonce, and the
// time. A refreshed one has no nonce (OpenID Connect Core §3.1.3.6, §12.2).
func TestIDTokenIsThatOfItsResponse(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		request := testworld.AuthRequest("app", "scope", testworld.AllScopes, "nonce", "the nonce of this request")
		done, _ := w.SignIn(request, testworld.Number)
		time.Sleep(20 * time.Second)
		first := testworld.TokensIn(t, w.Exchange("app", testworld.Param(done.Response, "code")))
		wantOwn(t, "the first", first, "the nonce of this request")
		time.Sleep(time.Minute)
		next := testworld.TokensIn(t, w.Refresh("app", first.Refresh))
		wantOwn(t, "a refreshed one", next, nil)
	})
}

func wantOwn(t *testing.T, what string, tokens testworld.Tokens, nonce any) {
	t.Helper()
	sum := sha256.Sum256([]byte(tokens.Access))
	now := float64(time.Now().Unix())
	testworld.WantMembers(t, what, tokens.Claims(t), map[string]any{
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
		"nonce":   nonce,
		"iat":     now,
		"exp":     now + 3600,
		"sid":     tokens.JSON()["session_state"],
	})
	if tokens.JSON()["session_state"] == nil {
		t.Errorf("%s: got no session_state", what)
	}
}

// An access token ends with its family, and the response says when.
func TestExpiresInAtTheEndOfTheFamily(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, func(c *testworld.Config) { c.Provider.Lifetimes.RefreshMax = 90 * time.Minute })
		got, _ := w.Tokens("app", testworld.AllScopes)
		if in := got.JSON()["expires_in"]; in != 3600.0 {
			t.Errorf("the first: got expires_in %v, want an hour", in)
		}
		time.Sleep(80 * time.Minute)
		next := testworld.TokensIn(t, w.Refresh("app", got.Refresh))
		if in := next.JSON()["expires_in"]; in != 600.0 {
			t.Errorf("ten minutes before the end: got expires_in %v, want 600", in)
		}
		time.Sleep(10*time.Minute - time.Second)
		w.Userinfo(next.Access).WantStatus(t, "a second before the end", 200)
		time.Sleep(time.Second)
		w.Userinfo(next.Access).WantStatus(t, "at the end", 401)
		w.Refresh("app", next.Refresh).WantOAuthError(t, "refreshing at the end", 400, "invalid_grant")
	})
}
