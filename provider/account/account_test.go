// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// accountPage returns the view of a session's account page.
func accountPage(t *testing.T, w *testworld.World, session *http.Cookie) map[string]any {
	t.Helper()
	a := w.Get("/account", session)
	page, view := a.Page()
	if page != "account" || a.StatusCode != 200 || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("account page: got %v %v, want 200 and no-store", a, a.Header)
	}
	return view
}

// send sends a form of the account page. If v has no token, it sends the page's.
func send(
	t *testing.T, w *testworld.World, session *http.Cookie, path string, v url.Values, change ...testworld.Change,
) testworld.Response {
	t.Helper()
	if v == nil {
		v = url.Values{}
	}
	if !v.Has("token") {
		v.Set("token", accountPage(t, w, session)["Token"].(string))
	}
	return w.Post(path, v, append(change, testworld.Cookie(session))...)
}

// rows returns the applications or the sessions on an account page.
func rows(view map[string]any, of string) []map[string]any {
	var all []map[string]any
	list, _ := view[of].([]any)
	for _, row := range list {
		all = append(all, row.(map[string]any))
	}
	return all
}

// wantApplications fails the test unless the account page lists these clients.
func wantApplications(t *testing.T, w *testworld.World, session *http.Cookie, what string, want ...string) {
	t.Helper()
	var got []string
	for _, row := range rows(accountPage(t, w, session), "Applications") {
		got = append(got, row["Client"].(map[string]any)["ID"].(string))
	}
	if !slices.Equal(got, want) {
		t.Errorf("applications %s: got %v, want %v", what, got, want)
	}
}

// sessionID returns the ID of a row of the sessions on a session's account page.
func sessionID(t *testing.T, w *testworld.World, session *http.Cookie, row int) string {
	t.Helper()
	return rows(accountPage(t, w, session), "Sessions")[row]["ID"].(string)
}

func TestTheAccountListsApplicationsAndSessions(t *testing.T) {
	w := testworld.New(t)
	view, session := w.PromptedFor("third", "scope", "openid phone offline_access")
	w.Exchange("third", w.Allow(view.Request, session).Code())
	w.CodeTokens(session, "app", "scope", "openid profile")
	_, other := w.SignIn(testworld.AuthRequest("es256"), testworld.Number) // the same user in another browser
	wantApplications(t, w, session, "with access", "app", "third")
	shown := accountPage(t, w, session)
	third := rows(shown, "Applications")[1]
	if third["Client"].(map[string]any)["Name"] != "Third party" ||
		!reflect.DeepEqual(third["Scopes"], []any{"openid", "phone", "offline_access"}) {
		t.Errorf("application: got %v, want Third party with its scopes", third)
	}
	if s := rows(shown, "Sessions"); len(s) != 2 || s[0]["Here"] != true || s[1]["Here"] != false {
		t.Errorf("sessions: got %v, want two, this one first", s)
	}
	if s := rows(accountPage(t, w, other), "Sessions"); len(s) != 2 || s[0]["Here"] != true ||
		s[0]["ID"] == rows(shown, "Sessions")[0]["ID"] {
		t.Errorf("sessions in the other browser: got %v, want two, that one first", s)
	}
	// A removed client is listed no longer than its consent; the user can remove it
	// from the list, too.
	gone, _ := w.AddClient(client.Client{
		ID:           "gone",
		Name:         "Gone",
		Consent:      client.ConsentRemember,
		RedirectURIs: []string{"https://gone.example/cb"},
	})
	w.Allow(w.ConsentRequest(session, "third", "client_id", "gone", "redirect_uri", "https://gone.example/cb"), session)
	w.RemoveClient(gone.ID)
	wantApplications(t, w, session, "after a client was removed", "gone", "app", "third")
	// Another client that gets its ID has no access.
	w.AddClient(gone)
	wantApplications(t, w, session, "with another client of its ID", "app", "third")
	w.RemoveClient(gone.ID)
	send(t, w, session, "/account/revoke", url.Values{"client": {"gone"}})
	wantApplications(t, w, session, "after its access was revoked", "app", "third")
}

func TestRevokeAccess(t *testing.T) {
	w := testworld.New(t)
	view, session := w.PromptedFor("third", "scope", "openid phone offline_access")
	third := testworld.TokensIn(t, w.Exchange("third", w.Allow(view.Request, session).Code()))
	app := w.CodeTokens(session, "app", "scope", "openid offline_access")
	unused := w.Code(session, "third")
	send(t, w, session, "/account/revoke", url.Values{"client": {"third"}}).
		WantRedirect(t, "revoking", "/account?did=revoke")
	for did, want := range map[string]string{"revoke": "revoke", "anything": ""} {
		if v := w.Get("/account?did="+did, session).WantPage(t, "did="+did, "account"); v["Did"] != want {
			t.Errorf("did=%s: got %v on the page, want %q", did, v["Did"], want)
		}
	}
	wantApplications(t, w, session, "afterwards", "app")
	w.Userinfo(third.Access).WantStatus(t, "userinfo", 401)
	w.Refresh("third", third.Refresh).WantOAuthError(t, "refreshing", 400, "invalid_grant")
	w.Exchange("third", unused).WantOAuthError(t, "an unused code", 400, "invalid_grant")
	w.AuthorizeWith(session, "third").WantPage(t, "the next authorization request", "consent")
	w.Refresh("app", app.Refresh).WantStatus(t, "refreshing of another client", 200)
	w.WantLogged("access.revoked")
}

// The audit says of no client that its access was revoked if it had none: the form may
// have any text.
func TestThreat_RevokingWhatIsNotThereIsNotAudited(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	const text = "any-text-of-a-form"
	send(t, w, session, "/account/revoke", url.Values{"client": {text}}).WantRedirect(t, "revoking", "/account?did=revoke")
	w.WantNotLogged("access.revoked", text)
}

func TestSignOutOfAnotherSession(t *testing.T) {
	w := testworld.New(t)
	_, here := w.Tokens("app", "openid")
	there, thereCookie := w.Tokens("app", "openid")
	_, stranger := w.SignIn(testworld.AuthRequest("app"), testworld.OtherNumber)
	other := sessionID(t, w, here, 1)

	// Users cannot end sessions of others.
	send(t, w, here, "/account/signout", url.Values{"session": {sessionID(t, w, stranger, 0)}})
	if !w.SignedIn(stranger) {
		t.Fatal("ending another user's session: got it ended, want it live")
	}
	a := send(t, w, here, "/account/signout", url.Values{"session": {other}})
	a.WantRedirect(t, "ending the other session", "/account?did=signout")
	if set := a.Header.Get("Set-Cookie"); set != "" || w.SignedIn(thereCookie) || !w.SignedIn(here) {
		t.Errorf("ending the other session: got Set-Cookie %q, it live %v and this one live %v, want none, false, true",
			set, w.SignedIn(thereCookie), w.SignedIn(here))
	}
	w.Userinfo(there.Access).WantStatus(t, "userinfo with its access token", 401)
	a = send(t, w, here, "/account/signout", url.Values{"session": {sessionID(t, w, here, 0)}})
	a.WantRedirect(t, "ending this session", "/logout/done")
	if !a.ClearsSession() || w.SignedIn(here) {
		t.Errorf("ending this session: got headers %v and it live %v, want the cookie deleted and false",
			a.Header, w.SignedIn(here))
	}
}

func TestSignOutEverywhere(t *testing.T) {
	w := testworld.New(t)
	online, here := w.Tokens("app", "openid")
	offline, there := w.Tokens("app", "openid offline_access")
	_, stranger := w.SignIn(testworld.AuthRequest("app"), testworld.OtherNumber)
	a := send(t, w, here, "/account/signout-all", nil)
	a.WantRedirect(t, "signing out everywhere", "/logout/done")
	if !a.ClearsSession() {
		t.Errorf("signing out everywhere: got headers %v, want the cookie deleted", a.Header)
	}
	for what, row := range map[string]struct {
		session *http.Cookie
		want    bool
	}{"here": {here, false}, "there": {there, false}, "another user": {stranger, true}} {
		if got := w.SignedIn(row.session); got != row.want {
			t.Errorf("session %s: got live %v, want %v", what, got, row.want)
		}
	}
	w.Userinfo(online.Access).WantStatus(t, "userinfo", 401)
	w.Refresh("app", offline.Refresh).WantStatus(t, "refreshing with offline access", 200)
}

// Forms of the account page are accepted from the page alone, in the session that
// it was shown to.
func TestAccountFormsAreProtected(t *testing.T) {
	w := testworld.New(t)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	_, other := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	_, stranger := w.SignIn(testworld.AuthRequest("app"), testworld.OtherNumber)
	othersToken := accountPage(t, w, other)["Token"].(string)
	strangersToken := accountPage(t, w, stranger)["Token"].(string)
	for _, path := range []string{
		"/account/revoke",
		"/account/signout",
		"/account/signout-all",
		"/account/download",
		"/account/delete",
	} {
		t.Run(path, func(t *testing.T) {
			for what, a := range map[string]testworld.Response{
				"another site":         send(t, w, session, path, nil, testworld.CrossSite),
				"no token":             send(t, w, session, path, url.Values{"token": {""}}),
				"another user's token": send(t, w, session, path, url.Values{"token": {strangersToken}}),
				"of another session":   send(t, w, session, path, url.Values{"token": {othersToken}}),
			} {
				a.WantErrorPage(t, what, 403, "cross_origin")
			}
			w.Post(path, url.Values{"token": {strangersToken}}).WantRedirect(t, "without a session", "/account")
			put := testworld.Form(path, nil)
			put.Method = "PUT"
			w.Do(put).WantStatus(t, "PUT", 405)
		})
	}
	if !w.SignedIn(session) || !w.SignedIn(stranger) {
		t.Errorf("afterwards: got the sessions live %v and %v, want both", w.SignedIn(session), w.SignedIn(stranger))
	}
	accountPage(t, w, session)
}

// An application is listed once, with what it may have of the user, since when, and when
// it last had it: by consents, sign-ins and refreshes together.
func TestApplicationsSayWhatTheyHaveAndSinceWhen(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		began := time.Now()
		view, session := w.PromptedFor("third", "scope", "openid phone offline_access")
		tokens := testworld.TokensIn(t, w.Exchange("third", w.Allow(view.Request, session).Code()))
		time.Sleep(time.Hour)
		w.CodeTokens(session, "app", "scope", "openid offline_access profile")
		time.Sleep(time.Hour)
		w.CodeTokens(session, "app", "scope", "openid offline_access email")
		used := time.Now()
		time.Sleep(time.Hour)
		w.Refresh("third", tokens.Refresh).WantStatus(t, "refreshing", 200)
		refreshed := time.Now()
		w.Code(session, "third", "scope", "openid") // less than before
		apps := rows(accountPage(t, w, session), "Applications")
		if len(apps) != 2 {
			t.Fatalf("got %v, want two applications", apps)
		}
		for i, want := range []struct {
			scopes      []any
			since, used time.Time
		}{
			{[]any{"openid", "phone", "offline_access"}, began, refreshed},
			{[]any{"openid", "profile", "email", "offline_access"}, began.Add(time.Hour), used},
		} {
			since, _ := time.Parse(time.RFC3339Nano, apps[i]["Since"].(string))
			last, _ := time.Parse(time.RFC3339Nano, apps[i]["LastUsed"].(string))
			if !sameScopes(apps[i]["Scopes"].([]any), want.scopes) || !since.Equal(want.since) || !last.Equal(want.used) {
				t.Errorf("application %d: got %v, want %+v", i, apps[i], want)
			}
		}
		s := rows(accountPage(t, w, session), "Sessions")[0]
		if created, _ := time.Parse(time.RFC3339Nano, s["Created"].(string)); !created.Equal(began) {
			t.Errorf("session: got it created at %v, want %v", created, began)
		}
	})
}

// sameScopes reports whether two lists have the same scopes, each once.
func sameScopes(a, b []any) bool {
	text := func(list []any) []string {
		var all []string
		for _, scope := range list {
			all = append(all, scope.(string))
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(text(a), text(b))
}

// A scope that was taken from the client since is not what it has.
func TestAScopeTakenFromAClientIsNotListed(t *testing.T) {
	w := testworld.New(t)
	c := testworld.App("brief")
	c.Consent = client.ConsentRemember
	w.AddClient(c)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	w.Allow(w.ConsentRequest(session, "app", "client_id", "brief", "scope", "openid phone"), session)
	err := w.Store.UpdateClient(t.Context(), "brief", func(c *client.Client) error { c.Scopes = []string{"openid"}; return nil })
	if err != nil {
		t.Fatal(err)
	}
	apps := rows(accountPage(t, w, session), "Applications")
	i := slices.IndexFunc(apps, func(row map[string]any) bool { return row["Client"].(map[string]any)["ID"] == "brief" })
	if i < 0 || !sameScopes(apps[i]["Scopes"].([]any), []any{"openid"}) {
		t.Errorf("got %v, want brief with openid alone", apps)
	}
}

// This session is the first on the page, wherever it is in time; the others follow by
// their last use.
func TestThisSessionIsListedFirst(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		var cookies []*http.Cookie
		var ids []string
		for range 4 {
			time.Sleep(time.Minute)
			_, s := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
			cookies = append(cookies, s)
			ids = append(ids, sessionID(t, w, s, 0))
		}
		for here := range cookies {
			want := []string{ids[here]}
			for i := len(ids) - 1; i >= 0; i-- {
				if i != here {
					want = append(want, ids[i])
				}
			}
			var got []string
			for _, row := range rows(accountPage(t, w, cookies[here]), "Sessions") {
				got = append(got, row["ID"].(string))
			}
			if !slices.Equal(got, want) {
				t.Errorf("session %d: got %v, want %v", here, got, want)
			}
		}
	})
}

// The page before a deletion has the token that the deletion needs.
func TestTheStepsFormCanBeSent(t *testing.T) {
	w := testworld.New(t)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	view := w.Get("/account/delete", session).WantPage(t, "the page", "step")
	w.Post("/account/delete", url.Values{"token": {view["Token"].(string)}}, testworld.Cookie(session)).
		WantRedirect(t, "its form", "/account/deleted")
}

// Sessions say when they were last used to sign in to a client.
func TestSessionsSayWhenTheyWereUsed(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		_, s := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		time.Sleep(3 * time.Hour)
		w.Code(s, "es256")
		row := rows(accountPage(t, w, s), "Sessions")[0]
		if used, err := time.Parse(time.RFC3339Nano, row["LastUsed"].(string)); err != nil ||
			time.Since(used) > time.Minute {
			t.Errorf("LastUsed: got %v, %v, want the last minute", row["LastUsed"], err)
		}
		w.WantNothingStored("showing the page", func() { accountPage(t, w, s) })
	})
}
