package provider_test

import (
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider"
)

// Everything ends when it should.
func TestLifetimes(t *testing.T) {
	ring() // made outside, so that it has no time in it
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *provider.Config) {
			c.Lifetimes = provider.Lifetimes{Code: time.Minute, AccessToken: time.Hour, Session: 24 * time.Hour, RefreshIdle: 48 * time.Hour, RefreshMax: 96 * time.Hour}
		})
		done, session := w.signIn(asked("app"), number)
		time.Sleep(time.Minute)
		if a := w.exchange("app", param(done.Response, "code")); a.json()["error"] != "invalid_grant" {
			t.Errorf("an old code: %d %s", a.StatusCode, a.body)
		}
		got := w.exchange("app", w.code(session, "app", "scope", everything)).json()
		access, refresh := got["access_token"].(string), got["refresh_token"].(string)
		live := func(token string) bool { return w.post("/userinfo", nil, bearer(token)).StatusCode == 200 }
		time.Sleep(59 * time.Minute)
		if !live(access) {
			t.Error("the access token ended early")
		}
		time.Sleep(time.Minute)
		if live(access) {
			t.Error("the access token has no end")
		}
		first := claimsOf(t, got["id_token"])

		// max_age counts from the sign-in, not from the last code.
		if _, query := w.get("/authorize?"+asked("app", "max_age", "3600", "prompt", "none").Encode(), session).to(); query.Get("error") != "login_required" {
			t.Errorf("max_age: %v", query)
		}
		if _, query := w.get("/authorize?"+asked("hourly", "prompt", "none").Encode(), session).to(); query.Get("error") != "login_required" {
			t.Errorf("default_max_age: %v", query)
		}

		// The session lives for a day, whatever is done with it.
		time.Sleep(22*time.Hour + 58*time.Minute)
		if !w.alive(session) {
			t.Error("the session ended early")
		}
		time.Sleep(time.Minute)
		if w.alive(session) {
			t.Error("the session has no end")
		}

		// The refresh family lives on; auth_time stays.
		next := w.refresh("app", refresh)
		if next.StatusCode != 200 {
			t.Fatalf("refresh after a day: %s", next.body)
		}
		second := claimsOf(t, next.json()["id_token"])
		if second["auth_time"] != first["auth_time"] || second["iat"] == first["iat"] || !live(next.json()["access_token"].(string)) {
			t.Errorf("first %v, second %v", first, second)
		}
		// The answer was lost: the same again within the grace, an end after it.
		time.Sleep(44 * time.Second)
		if again := w.refresh("app", refresh); again.json()["refresh_token"] != next.json()["refresh_token"] {
			t.Errorf("within the grace: %s", again.body)
		}
		idle := w.refresh("app", next.json()["refresh_token"].(string)).json()["refresh_token"].(string)
		time.Sleep(48 * time.Hour)
		if a := w.refresh("app", idle); a.json()["error"] != "invalid_grant" {
			t.Errorf("unused for two days: %d %s", a.StatusCode, a.body)
		}

		// At most four days after the sign-in the family ends, used or not.
		done, _ = w.signIn(asked("app", "scope", everything), number)
		token := w.exchange("app", param(done.Response, "code")).json()["refresh_token"].(string)
		for range 3 {
			time.Sleep(31 * time.Hour)
			a := w.refresh("app", token)
			if a.StatusCode != 200 {
				t.Fatalf("in use: %s", a.body)
			}
			token = a.json()["refresh_token"].(string)
		}
		time.Sleep(3 * time.Hour)
		if a := w.refresh("app", token); a.json()["error"] != "invalid_grant" {
			t.Errorf("after four days: %d %s", a.StatusCode, a.body)
		}
	})
}

func TestReuseAfterTheGraceRevokes(t *testing.T) {
	ring()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		got, _ := w.tokens("app", everything)
		refresh := got["refresh_token"].(string)
		next := w.refresh("app", refresh).json()["refresh_token"].(string)
		time.Sleep(46 * time.Second)
		if a := w.refresh("app", refresh); a.json()["error"] != "invalid_grant" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if a := w.refresh("app", next); a.json()["error"] != "invalid_grant" {
			t.Errorf("the family lives: %d %s", a.StatusCode, a.body)
		}
	})
}
