// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/internal/testworld"
)

func TestInvariant9_RefreshTokenRotates(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("app", testworld.AllScopes)
	first := got.Refresh
	w.Refresh("old", first).WantOAuthError(t, "another client", 400, "invalid_grant")
	// Many at once, as when the tabs of a browser wake up: all get the same
	// successor, and none an error.
	successors := make([]string, 8)
	var all sync.WaitGroup
	for i := range successors {
		all.Go(func() { successors[i] = w.Refresh("app", first).Member("refresh_token") })
	}
	all.Wait()
	second := successors[0]
	for _, s := range successors {
		if s != second || second == "" || second == first {
			t.Fatalf("refreshing many times at once: got %v, want one successor", successors)
		}
	}
	third := testworld.TokensIn(t, w.Refresh("app", second)).Refresh
	w.Refresh("app", first).WantOAuthError(t, "a token that was replaced twice", 400, "invalid_grant")
	w.Refresh("app", third).WantStatus(t, "the family after it", 400)
	w.Userinfo(got.Access).WantStatus(t, "userinfo after it", 401)
}

// A crowd of a client's processes with one refresh token: ten more than the first
// are served, and the next ones neither are nor cost the client its family.
func TestThreat_ACrowdWithinTheGraceLosesNothing(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("app", testworld.AllScopes)
	var served, refused atomic.Int32
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			switch a := w.Refresh("app", got.Refresh); a.StatusCode {
			case 200:
				served.Add(1)
			case 429:
				a.WantOAuthError(t, "one too many", 429, "temporarily_unavailable")
				if after := a.Header.Get("Retry-After"); after != "" {
					t.Errorf("one too many: got Retry-After %s, want none: the token only grows older", after)
				}
				refused.Add(1)
			default:
				t.Errorf("got %v", a)
			}
		})
	}
	all.Wait()
	if served.Load() != 11 || refused.Load() != 29 {
		t.Errorf("got %d served and %d refused, want 11 and 29", served.Load(), refused.Load())
	}
	w.Userinfo(got.Access).WantStatus(t, "userinfo after the crowd", 200)
	if strings.Contains(w.Log.Text(), `"grant.reused"`) {
		t.Errorf("audit: got\n%s\nwant no reuse", w.Log.Text())
	}
}

func TestReuseAfterTheGraceRevokes(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		got, _ := w.Tokens("app", testworld.AllScopes)
		next := testworld.TokensIn(t, w.Refresh("app", got.Refresh)).Refresh
		time.Sleep(46 * time.Second)
		w.Refresh("app", got.Refresh).WantOAuthError(t, "a used token after the grace", 400, "invalid_grant")
		w.Refresh("app", next).WantOAuthError(t, "its successor", 400, "invalid_grant")
	})
}

func TestRefreshScope(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("app", "openid phone email offline_access")
	for _, wide := range []string{"openid profile", "cheese"} {
		w.Refresh("app", got.Refresh, "scope", wide).WantOAuthError(t, "scope "+wide, 400, "invalid_scope")
	}
	narrow := testworld.TokensIn(t, w.Refresh("app", got.Refresh, "scope", "openid phone"))
	if id := narrow.Claims(t); narrow.JSON()["scope"] != "openid phone" || id["email"] != nil ||
		id["phone_number"] == nil {
		t.Errorf("scope openid phone: got %v with %v, want the number alone", narrow, id)
	}
	if info := w.Userinfo(narrow.Access).JSON(); info["email"] != nil || info["phone_number"] == nil {
		t.Errorf("userinfo with scope openid phone: got %v, want the number alone", info)
	}
	without := testworld.TokensIn(t, w.Refresh("app", narrow.Refresh, "scope", "phone"))
	if without.ID != "" {
		t.Errorf("scope phone: got %v, want no ID token", without)
	}
	info := w.Userinfo(without.Access)
	if info.StatusCode != 403 || !strings.Contains(info.Header.Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("userinfo with scope phone: got %v, want 403 insufficient_scope", info)
	}
	back := w.Refresh("app", without.Refresh)
	if want := "openid email phone offline_access"; back.JSON()["scope"] != want {
		t.Errorf("without a scope: got %v, want the scopes of the grant, %s", back, want)
	}
}

// Claims that were requested by name follow a narrower refresh: a token for less tells less
// (RFC 6749 §6).
func TestThreat_NamedClaimsFollowANarrowerRefresh(t *testing.T) {
	w := testworld.New(t)
	const named = `{"id_token":{"phone_number":null,"email":null},"userinfo":{"phone_number":null,"email":null}}`
	done, _ := w.SignIn(testworld.AuthRequest("app", "scope", "openid profile email offline_access", "claims", named), testworld.Number)
	got := testworld.TokensIn(t, w.Exchange("app", testworld.Param(done.Response, "code")))
	for _, row := range []struct {
		scope        string
		number, mail bool
	}{
		{"-", true, true},
		{"openid profile email offline_access", true, true},
		{"openid profile email", true, true}, // a refresh token comes all the same
		{"openid email", false, true},
		{"openid", false, false},
		{"-", true, true}, // a later one may have all of it again
	} {
		next := testworld.TokensIn(t, w.Refresh("app", got.Refresh, "scope", row.scope))
		got.Refresh = next.Refresh
		for what, claims := range map[string]map[string]any{"the ID token": next.Claims(t), "userinfo": w.Userinfo(next.Access).JSON()} {
			if (claims["phone_number"] != nil) != row.number || (claims["email"] != nil) != row.mail {
				t.Errorf("scope %q, %s: got %v, want the number %v and the address %v", row.scope, what, claims, row.number, row.mail)
			}
		}
	}
}
