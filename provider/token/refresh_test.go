package token_test

import (
	"strings"
	"sync"
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
