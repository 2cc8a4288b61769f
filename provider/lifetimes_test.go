// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider"
	"calleridp/provider/internal/testworld"
)

// Everything expires when it should.
func TestLifetimes(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, func(c *testworld.Config) {
			c.Provider.Lifetimes = provider.Lifetimes{
				Code:        time.Minute,
				AccessToken: time.Hour,
				Session:     24 * time.Hour,
				RefreshIdle: 48 * time.Hour,
				RefreshMax:  96 * time.Hour,
			}
		})
		done, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		time.Sleep(time.Minute)
		w.Exchange("app", testworld.Param(done.Response, "code")).
			WantOAuthError(t, "a code after a minute", 400, "invalid_grant")

		got := w.CodeTokens(session, "app", "scope", testworld.AllScopes)
		time.Sleep(59 * time.Minute)
		w.Userinfo(got.Access).WantStatus(t, "an access token after 59 minutes", 200)
		time.Sleep(time.Minute)
		w.Userinfo(got.Access).WantStatus(t, "an access token after an hour", 401)

		// max_age counts from the sign-in, not from the last code.
		for what, a := range map[string]testworld.Response{
			"max_age":         w.AuthorizeWith(session, "app", "max_age", "3600", "prompt", "none"),
			"default_max_age": w.AuthorizeWith(session, "hourly", "prompt", "none"),
		} {
			if _, query := a.Redirect(); query.Get("error") != "login_required" {
				t.Errorf("%s of an hour: got %v, want login_required", what, a)
			}
		}

		// The session lives for a day, whether it is used or not.
		time.Sleep(22*time.Hour + 58*time.Minute)
		if !w.SignedIn(session) {
			t.Error("session a minute before a day: got it ended, want it live")
		}
		time.Sleep(time.Minute)
		if w.SignedIn(session) {
			t.Error("session after a day: got it live, want it ended")
		}

		// The refresh family outlives it; auth_time stays.
		next := testworld.TokensIn(t, w.Refresh("app", got.Refresh))
		first, second := got.Claims(t), next.Claims(t)
		if second["auth_time"] != first["auth_time"] || second["iat"] == first["iat"] {
			t.Errorf("refreshed ID token: got %v, want the auth_time of %v and another iat", second, first)
		}
		w.Userinfo(next.Access).WantStatus(t, "the refreshed access token", 200)
		// If the response was lost, the same request gets it again within the grace.
		time.Sleep(44 * time.Second)
		if again := w.Refresh("app", got.Refresh).Member("refresh_token"); again != next.Refresh {
			t.Errorf("the same refresh token within the grace: got the successor %q, want %q", again, next.Refresh)
		}
		idle := testworld.TokensIn(t, w.Refresh("app", next.Refresh)).Refresh
		time.Sleep(48 * time.Hour)
		w.Refresh("app", idle).WantOAuthError(t, "a refresh token unused for two days", 400, "invalid_grant")

		// Four days after the sign-in the family expires, used or not.
		done, _ = w.SignIn(testworld.AuthRequest("app", "scope", testworld.AllScopes), testworld.Number)
		token := testworld.TokensIn(t, w.Exchange("app", testworld.Param(done.Response, "code"))).Refresh
		for range 3 {
			time.Sleep(31 * time.Hour)
			token = testworld.TokensIn(t, w.Refresh("app", token)).Refresh
		}
		time.Sleep(3 * time.Hour)
		w.Refresh("app", token).WantOAuthError(t, "a refresh token after four days", 400, "invalid_grant")
	})
}
