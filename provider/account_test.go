package provider_test

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider"
	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/login"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// shown is the account page of a session.
func (w *world) shown(session *http.Cookie) map[string]any {
	w.t.Helper()
	a := w.get("/account", session)
	page, view := a.page()
	if page != "account" || a.StatusCode != 200 || a.Header.Get("Cache-Control") != "no-store" {
		w.t.Fatalf("no account page: %d %s", a.StatusCode, a.body)
	}
	return view
}

// doing sends a form of the account page.
func (w *world) doing(path string, session *http.Cookie, v url.Values, change ...func(*http.Request)) answer {
	w.t.Helper()
	if v == nil {
		v = url.Values{}
	}
	if !v.Has("token") {
		v.Set("token", w.shown(session)["Token"].(string))
	}
	return w.post(path, v, append(change, cookie(session))...)
}

// rows are the applications or sessions on an account page.
func rows(view map[string]any, of string) []map[string]any {
	var all []map[string]any
	list, _ := view[of].([]any)
	for _, row := range list {
		all = append(all, row.(map[string]any))
	}
	return all
}

func clientIDs(view map[string]any) []string {
	var ids []string
	for _, row := range rows(view, "Applications") {
		ids = append(ids, row["Client"].(map[string]any)["ID"].(string))
	}
	return ids
}

// Whoever is not signed in signs in to their account: by an attempt like any
// other, without a client, a code or a redirect to another site.
func TestSignInToTheAccount(t *testing.T) {
	w := newWorld(t, func(c *provider.Config) {
		c.Country = func(network string) string { return map[string]string{"192.0.2.1/32": "SE"}[network] }
	})
	before := w.store.Stats().Operations
	a := w.get("/account")
	_, view := a.page()
	if c := view["Client"].(map[string]any); c["Own"] != true || c["ID"] != "" || view["FormAction"] != "" || view["Phone"] != "" {
		t.Errorf("%v", view)
	}
	if n := w.store.Stats().Operations - before; n != 0 {
		t.Errorf("looking wrote %d times (invariant 1)", n)
	}
	id, err := w.provider.Submit(t.Context(), authorize.Submission{Request: view["Request"].(string), Phone: number, Browser: browser, Network: "192.0.2.1/32", UserAgent: firefox})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := w.provider.View(t.Context(), id, browser); err != nil || !v.Client.Own || v.FormAction != "" {
		t.Errorf("%+v, %v", v, err)
	}
	w.approve(number)
	for range 2 { // a double click
		done, err := w.provider.Continue(t.Context(), id, browser, "")
		if err != nil || done.Response.URL() != "/account" || done.Session == "" || done.Consent != nil {
			t.Fatalf("%+v, %v", done, err)
		}
		session := &http.Cookie{Name: "__Host-calleridp_session", Value: string(done.Session)}
		shown := w.shown(session)
		if shown["Name"] != "Asha Rao" || shown["Number"] != "+46•••••0605" || shown["NumberLost"] != false || len(rows(shown, "Applications")) != 0 {
			t.Errorf("%v", shown)
		}
		s := rows(shown, "Sessions")
		if len(s) != 1 || s[0]["Here"] != true || s[0]["Country"] != "SE" || !reflect.DeepEqual(s[0]["Device"], map[string]any{"Browser": "Firefox", "OS": "Linux"}) {
			t.Errorf("%v", s)
		}
	}
	// Nobody can ask for it as a client.
	a = w.get("/authorize?" + asked("app", "client_id", "urn:calleridp:account", "redirect_uri", "/account").Encode())
	if page, v := a.page(); page != "error" || v["Kind"] != "unknown_client" {
		t.Errorf("as a client: %d %s", a.StatusCode, a.body)
	}
	if _, _, err := w.registry.Add(t.Context(), client.Client{ID: "urn:calleridp:account", RedirectURIs: []string{"https://evil.example/cb"}}); err == nil {
		t.Error("it can be registered")
	}
}

// Leaving the sign-in leads back to our own page, and says nothing to anybody.
func TestLeaveTheSignInToTheAccount(t *testing.T) {
	w := newWorld(t)
	id := w.submit(w.get("/account/delete"), number)
	if err := w.provider.Cancel(t.Context(), id, browser); err != nil {
		t.Fatal(err)
	}
	if left, err := w.provider.Leave(t.Context(), id, browser); err != nil || left.URL() != "/account" || left.FormPost {
		t.Errorf("%+v, %v", left, err)
	}
}

func TestTheAccountSaysWhoHasAccess(t *testing.T) {
	w := newWorld(t)
	view, session := w.asks(w.approved(asked("third", "scope", "openid phone offline_access"), number))
	w.exchange("third", code(w.decide(view.Request, "allow", cookie(session))))
	w.exchange("app", w.code(session, "app", "scope", "openid profile"))
	_, other := w.signIn(asked("es256"), number) // the same person in another browser
	shown := w.shown(session)
	if got := clientIDs(shown); len(got) != 2 || got[0] != "app" || got[1] != "third" {
		t.Errorf("applications %v", got)
	}
	third := rows(shown, "Applications")[1]
	if third["Client"].(map[string]any)["Name"] != "Third party" || !reflect.DeepEqual(third["Scopes"], []any{"openid", "phone", "offline_access"}) {
		t.Errorf("%v", third)
	}
	if s := rows(shown, "Sessions"); len(s) != 2 || s[0]["Here"] != true || s[1]["Here"] != false {
		t.Errorf("%v", s)
	}
	if s := rows(w.shown(other), "Sessions"); len(s) != 2 || s[0]["Here"] != true || s[0]["ID"] == rows(shown, "Sessions")[0]["ID"] {
		t.Errorf("%v", s)
	}
	// A client that is gone has access to nothing; it can be taken away from the
	// list, too.
	gone, _, err := w.registry.Add(t.Context(), client.Client{ID: "gone", Name: "Gone", Consent: client.ConsentRemember, RedirectURIs: []string{"https://gone.example/cb"}})
	if err != nil {
		t.Fatal(err)
	}
	_, question := w.get("/authorize?"+asked("third", "client_id", "gone", "redirect_uri", "https://gone.example/cb").Encode(), session).page()
	w.decide(question["Request"].(string), "allow", cookie(session))
	if err := w.registry.Remove(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	if got := clientIDs(w.shown(session)); len(got) != 3 || got[0] != "gone" {
		t.Errorf("%v", got)
	}
	// Another client that gets its ID has no access.
	if _, _, err := w.registry.Add(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if got := clientIDs(w.shown(session)); len(got) != 2 {
		t.Errorf("%v", got)
	}
	if err := w.registry.Remove(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	w.doing("/account/revoke", session, url.Values{"client": {"gone"}})
	if got := clientIDs(w.shown(session)); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestRevokeAccess(t *testing.T) {
	w := newWorld(t)
	view, session := w.asks(w.approved(asked("third", "scope", "openid phone offline_access"), number))
	third := w.exchange("third", code(w.decide(view.Request, "allow", cookie(session)))).json()
	app := w.exchange("app", w.code(session, "app", "scope", "openid offline_access")).json()
	unused := w.code(session, "third")
	a := w.doing("/account/revoke", session, url.Values{"client": {"third"}})
	if a.StatusCode != 303 || a.Header.Get("Location") != "/account?did=revoke" {
		t.Fatalf("%d %s", a.StatusCode, a.Header.Get("Location"))
	}
	if page, v := w.get("/account?did=revoke", session).page(); page != "account" || v["Did"] != "revoke" {
		t.Errorf("%v", v)
	}
	if _, v := w.get("/account?did=anything", session).page(); v["Did"] != "" {
		t.Errorf("%v", v["Did"])
	}
	if got := clientIDs(w.shown(session)); !reflect.DeepEqual(got, []string{"app"}) {
		t.Errorf("%v", got)
	}
	if a := w.post("/userinfo", nil, bearer(third["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("the access token lives: %d", a.StatusCode)
	}
	if a := w.refresh("third", third["refresh_token"].(string)); a.json()["error"] != "invalid_grant" {
		t.Errorf("the refresh token lives: %d", a.StatusCode)
	}
	if a := w.exchange("third", unused); a.json()["error"] != "invalid_grant" {
		t.Errorf("an unused code lives: %d", a.StatusCode)
	}
	if page, _ := w.get("/authorize?"+asked("third").Encode(), session).page(); page != "consent" {
		t.Errorf("not asked again: %s", page)
	}
	if a := w.refresh("app", app["refresh_token"].(string)); a.StatusCode != 200 {
		t.Errorf("another client's is gone: %s", a.body)
	}
	if !strings.Contains(w.log.text(), "access.revoked") {
		t.Error("not in the audit")
	}
}

func TestSignOutOfAnotherSession(t *testing.T) {
	w := newWorld(t)
	_, here := w.tokens("app", "openid")
	there, thereCookie := w.tokens("app", "openid")
	_, stranger := w.signIn(asked("app"), "+46701740606")
	strangersID := rows(w.shown(stranger), "Sessions")[0]["ID"].(string)
	other := rows(w.shown(here), "Sessions")[1]["ID"].(string)

	// Somebody else's session is not theirs to end.
	w.doing("/account/signout", here, url.Values{"session": {strangersID}})
	if !w.alive(stranger) {
		t.Fatal("a person has signed another out")
	}
	a := w.doing("/account/signout", here, url.Values{"session": {other}})
	if a.StatusCode != 303 || a.Header.Get("Location") != "/account?did=signout" || a.Header.Get("Set-Cookie") != "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	if w.alive(thereCookie) || !w.alive(here) {
		t.Errorf("there %v, here %v", w.alive(thereCookie), w.alive(here))
	}
	if a := w.post("/userinfo", nil, bearer(there["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("its access token lives: %d", a.StatusCode)
	}
	a = w.doing("/account/signout", here, url.Values{"session": {rows(w.shown(here), "Sessions")[0]["ID"].(string)}})
	if a.Header.Get("Location") != "/logout/done" || !cleared(a) || w.alive(here) {
		t.Errorf("this one: %d %v", a.StatusCode, a.Header)
	}
}

func TestSignOutEverywhere(t *testing.T) {
	w := newWorld(t)
	online, here := w.tokens("app", "openid")
	offline, there := w.tokens("app", "openid offline_access")
	_, stranger := w.signIn(asked("app"), "+46701740606")
	a := w.doing("/account/signout-all", here, nil)
	if a.StatusCode != 303 || a.Header.Get("Location") != "/logout/done" || !cleared(a) {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	if w.alive(here) || w.alive(there) || !w.alive(stranger) {
		t.Errorf("here %v, there %v, stranger %v", w.alive(here), w.alive(there), w.alive(stranger))
	}
	if a := w.post("/userinfo", nil, bearer(online["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("the access token lives: %d", a.StatusCode)
	}
	if a := w.refresh("app", offline["refresh_token"].(string)); a.StatusCode != 200 {
		t.Errorf("access while away has ended: %s", a.body)
	}
}

// What cannot be undone, or says everything, needs a sign-in of the last ten
// minutes, by the same person.
func TestDeleteAndDownloadNeedARecentSignIn(t *testing.T) {
	ring()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, session := w.signIn(asked("app"), number)
		token := w.shown(session)["Token"].(string)
		for path, step := range map[string]string{"/account/delete": "delete", "/account/download": "download"} {
			if page, v := w.get(path, session).page(); page != "step" || v["Step"] != step || v["Number"] != "+46•••••0605" {
				t.Errorf("%s: %s %v", path, page, v)
			}
		}
		time.Sleep(10*time.Minute + time.Second)
		for _, path := range []string{"/account/delete", "/account/download"} {
			if a := w.doing(path, session, url.Values{"token": {token}}); a.StatusCode != 303 || a.Header.Get("Location") != path {
				t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
			}
			// The page does not tell the number to whoever finds the browser signed in.
			if page, v := w.get(path, session).page(); page != "signin" || v["Phone"] != "" {
				t.Errorf("%s: %s %v", path, page, v)
			}
		}
		w.shown(session) // nothing is deleted

		// Another person's approval is not it.
		id := w.submit(w.get("/account/delete", session), "+46701740606")
		w.approve("+46701740606")
		done, err := w.provider.Continue(t.Context(), id, browser, secretOf(session))
		if err != nil || done.Session != "" || done.Response.URL() != "/account" {
			t.Errorf("another person: %+v, %v", done, err)
		}
		w.shown(session)

		id = w.submit(w.get("/account/delete", session), number)
		w.approve(number)
		done, err = w.provider.Continue(t.Context(), id, browser, secretOf(session))
		if err != nil || done.Response.URL() != "/account/delete" {
			t.Fatalf("%+v, %v", done, err)
		}
		fresh := &http.Cookie{Name: session.Name, Value: string(done.Session)}
		if page, _ := w.get("/account/delete", fresh).page(); page != "step" {
			t.Errorf("%s", page)
		}
		if page, _ := w.get("/account", session).page(); page != "signin" {
			t.Errorf("the session before has not ended: %s", page)
		}
		a := w.doing("/account/download", fresh, nil)
		h := a.Header
		if a.StatusCode != 200 || h.Get("Content-Type") != "application/json" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") ||
			h.Get("Cache-Control") != "no-store" || a.json()["phone_number"] != number || a.json()["phone_number_is_yours"] != true {
			t.Errorf("%d %v %s", a.StatusCode, h, a.body)
		}
		if strings.Contains(a.body, string(done.Session)) || strings.Contains(h.Get("Content-Disposition"), "0605") {
			t.Error("the file has a secret in it, or its name a number")
		}
	})
}

func TestDeleteTheAccount(t *testing.T) {
	w := newWorld(t)
	got, session := w.tokens("app", everything)
	_, elsewhere := w.signIn(asked("app"), number)
	sub := claimsOf(t, got["id_token"])["sub"].(string)
	_, stranger := w.signIn(asked("app"), "+46701740606")
	// An attempt of theirs is approved, and not used yet.
	open := w.approved(asked("app"), number)
	w.log.Reset()
	a := w.doing("/account/delete", session, nil)
	if a.StatusCode != 303 || a.Header.Get("Location") != "/account/deleted" || !cleared(a) {
		t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	if page, v := w.get("/account/deleted").page(); page != "step" || v["Step"] != "deleted" || v["Token"] != "" {
		t.Errorf("%s %v", page, v)
	}
	for what, c := range map[string]*http.Cookie{"here": session, "elsewhere": elsewhere} {
		if page, _ := w.get("/account", c).page(); page != "signin" || w.alive(c) {
			t.Errorf("%s: %s", what, page)
		}
	}
	if a := w.post("/userinfo", nil, bearer(got["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("userinfo: %d", a.StatusCode)
	}
	if a := w.refresh("app", got["refresh_token"].(string)); a.json()["error"] != "invalid_grant" {
		t.Errorf("refresh: %d", a.StatusCode)
	}
	if _, err := w.provider.Continue(t.Context(), open, browser, ""); !errors.Is(err, login.ErrState) {
		t.Errorf("an open attempt: %v", err)
	}
	if !w.alive(stranger) {
		t.Error("another person is gone")
	}
	// The audit has the sub and nothing else about the person.
	log := w.log.text()
	i := strings.Index(log, `"person.deleted"`)
	if i < 0 {
		t.Fatalf("not in the audit:\n%s", log)
	}
	line := log[i : i+strings.IndexByte(log[i:], '\n')]
	if !strings.Contains(line, sub) || strings.Contains(line, "0605") || strings.Contains(line, "Asha") || strings.Contains(line, "sid") {
		t.Errorf("%s", line)
	}
	// Whoever comes with the number is a new person.
	again, _ := w.tokens("app", everything)
	if claimsOf(t, again["id_token"])["sub"] == sub {
		t.Error("the sub was issued again")
	}
}

// Forms of the account page come from it, in the session that was shown it.
func TestAccountFormsAreProtected(t *testing.T) {
	w := newWorld(t)
	_, session := w.signIn(asked("app"), number)
	_, stranger := w.signIn(asked("app"), "+46701740606")
	strangersToken := w.shown(stranger)["Token"].(string)
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, path := range []string{"/account/revoke", "/account/signout", "/account/signout-all", "/account/download", "/account/delete"} {
		for what, a := range map[string]answer{
			"another site":    w.doing(path, session, nil, crossSite),
			"no token":        w.doing(path, session, url.Values{"token": {""}}),
			"another's token": w.doing(path, session, url.Values{"token": {strangersToken}}),
		} {
			if page, v := a.page(); a.StatusCode != 403 || page != "error" || v["Kind"] != "cross_origin" {
				t.Errorf("%s by %s: %d %s", path, what, a.StatusCode, a.body)
			}
		}
		if a := w.post(path, url.Values{"token": {strangersToken}}); a.StatusCode != 303 || a.Header.Get("Location") != "/account" {
			t.Errorf("%s without a session: %d", path, a.StatusCode)
		}
		if a := w.do(requestOf("PUT", path)); a.StatusCode != 405 {
			t.Errorf("%s by PUT: %d", path, a.StatusCode)
		}
	}
	if !w.alive(session) || !w.alive(stranger) {
		t.Error("something was done")
	}
	w.shown(session)
}

func requestOf(method, path string) *http.Request {
	r := form(path, nil)
	r.Method = method
	return r
}

// Sessions say when they were last used to sign in somewhere.
func TestSessionsSayWhenTheyWereUsed(t *testing.T) {
	ring()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, s := w.signIn(asked("app"), number)
		time.Sleep(3 * time.Hour)
		w.code(s, "es256")
		row := rows(w.shown(s), "Sessions")[0]
		if used, err := time.Parse(time.RFC3339Nano, row["LastUsed"].(string)); err != nil || time.Since(used) > time.Minute {
			t.Errorf("%v, %v", row, err)
		}
		// Looking at the page is free.
		before := w.store.Stats().Operations
		w.shown(s)
		if n := w.store.Stats().Operations - before; n != 0 {
			t.Errorf("%d operations", n)
		}
	})
}
