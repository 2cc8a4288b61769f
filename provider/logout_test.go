package provider_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// alive says whether the session still signs in.
func (w *world) alive(session *http.Cookie) bool {
	w.t.Helper()
	_, query := w.get("/authorize?"+asked("es256", "prompt", "none").Encode(), session).to()
	return query.Get("code") != ""
}

func cleared(a answer) bool {
	return strings.Contains(a.Header.Get("Set-Cookie"), "__Host-calleridp_session=;") && strings.Contains(a.Header.Get("Set-Cookie"), "Max-Age=0")
}

func TestLogoutWithHint(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		w := newWorld(t)
		got, session := w.tokens("app", everything)
		v := url.Values{"id_token_hint": {got["id_token"].(string)}, "post_logout_redirect_uri": {"https://app.example/bye"}, "state": {"a b"}}
		var a answer
		if method == "GET" {
			a = w.get("/logout?"+v.Encode(), session)
		} else {
			a = w.post("/logout", v, cookie(session))
		}
		if at := a.Header.Get("Location"); a.StatusCode != 303 || at != "https://app.example/bye?state=a+b" || !cleared(a) {
			t.Errorf("%s: %d %s, Set-Cookie %q", method, a.StatusCode, at, a.Header.Get("Set-Cookie"))
		}
		if w.alive(session) {
			t.Errorf("%s: the session lives", method)
		}
		// Offline access is for when the person is away.
		if a := w.refresh("app", got["refresh_token"].(string)); a.StatusCode != 200 {
			t.Errorf("%s: the offline grant ended: %s", method, a.body)
		}
	}
}

// What belongs to the session ends with it.
func TestLogoutEndsTokens(t *testing.T) {
	w := newWorld(t)
	got, session := w.tokens("app", "openid")
	w.get("/logout?id_token_hint="+got["id_token"].(string), session)
	if a := w.post("/userinfo", nil, bearer(got["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("the access token lives: %d", a.StatusCode)
	}
}

// A broker calls on its own, without the browser's cookie. The hint counts
// while the very session lives, and not for ever.
func TestLogoutWithoutCookie(t *testing.T) {
	w := newWorld(t)
	got, session := w.tokens("pair", "openid")
	hint := got["id_token"].(string)
	a := w.get("/logout?state=x&id_token_hint=" + hint)
	if a.StatusCode < 200 || a.StatusCode > 399 || w.alive(session) {
		t.Errorf("%d, alive %v", a.StatusCode, w.alive(session))
	}
	_, next := w.tokens("pair", "openid")
	if a := w.get("/logout?id_token_hint=" + hint); a.StatusCode != 303 || !w.alive(next) {
		t.Errorf("an old hint: %d, the new session alive: %v", a.StatusCode, w.alive(next))
	}
	// A form of another site comes without the cookie too: it may be there.
	if page, _ := w.post("/logout", url.Values{"id_token_hint": {hint}}).page(); page != "confirm" {
		t.Errorf("an old hint by POST: %s", page)
	}
}

func TestLogoutAsks(t *testing.T) {
	w := newWorld(t)
	got, session := w.tokens("app", "openid")
	done, _ := w.signIn(asked("app"), "+46701740606")
	othersHint := w.exchange("app", param(done.Response, "code")).json()["id_token"].(string)
	hint := got["id_token"].(string)
	dot := strings.LastIndexByte(hint, '.')
	rows := map[string]struct{ query, client, action string }{
		"nothing":                   {"", "", ""},
		"a state only":              {"state=x", "", ""},
		"a client":                  {"client_id=app", "App", ""},
		"a client and where to":     {"client_id=app&post_logout_redirect_uri=https://app.example/bye", "App", "https://app.example"},
		"where to, and nobody":      {"post_logout_redirect_uri=https://app.example/bye", "", ""},
		"where to, anywhere":        {"post_logout_redirect_uri=https://evil.example/", "", ""},
		"another person's hint":     {"id_token_hint=" + othersHint, "App", ""},
		"a hint that is none":       {"id_token_hint=nonsense&post_logout_redirect_uri=https://app.example/bye", "", ""},
		"a hint with a changed end": {"id_token_hint=" + hint[:dot+1] + "AAAA" + hint[dot+5:], "", ""},
		"a hint without signature":  {"id_token_hint=" + hint[:dot+1], "", ""},
		"an access token as a hint": {"id_token_hint=" + got["access_token"].(string), "", ""},
	}
	for what, row := range rows {
		a := w.get("/logout?"+row.query+"&ui_locales=sv", session)
		page, view := a.page()
		name := ""
		if c, ok := view["Client"].(map[string]any); ok {
			name, _ = c["Name"].(string)
		}
		if page != "confirm" || a.StatusCode != 200 || view["Request"] == "" || name != row.client || view["FormAction"] != row.action || cleared(a) {
			t.Errorf("%s: %d %s %v", what, a.StatusCode, page, view)
		}
	}
	if !w.alive(session) {
		t.Fatal("asking ended the session")
	}

	_, view := w.get("/logout?client_id=app&state=s&post_logout_redirect_uri=https://app.example/bye", session).page()
	sealed := view["Request"].(string)
	confirm := func(sealed string, change ...func(*http.Request)) answer {
		return w.post("/logout/confirm", url.Values{"request": {sealed}}, append(change, cookie(session))...)
	}
	for what, a := range map[string]answer{
		"another site":           confirm(sealed, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }),
		"another origin":         confirm(sealed, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }),
		"nothing":                confirm(""),
		"nonsense":               confirm("nonsense"),
		"an old question":        confirm(aged(t, "logout-request", sealed)),
		"a sealed sign-in":       confirm(sealedSignIn(w)),
		"GET instead of a click": w.get("/logout/confirm?request="+sealed, session),
	} {
		if page, _ := a.page(); page != "error" || a.StatusCode < 400 || !w.alive(session) {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
	a := confirm(sealed, func(r *http.Request) { r.Header.Set("Origin", issuer); r.Header.Set("Sec-Fetch-Site", "same-origin") })
	if a.StatusCode != 303 || a.Header.Get("Location") != "https://app.example/bye?state=s" || !cleared(a) || w.alive(session) {
		t.Errorf("yes: %d %s", a.StatusCode, a.Header.Get("Location"))
	}
	// Twice does no harm.
	if a := confirm(sealed); a.StatusCode != 303 {
		t.Errorf("yes, twice: %d", a.StatusCode)
	}
}

func sealedSignIn(w *world) string {
	_, view := w.get("/authorize?" + asked("app").Encode()).page()
	return view["Request"].(string)
}

func TestLogoutRefuses(t *testing.T) {
	w := newWorld(t)
	got, session := w.tokens("app", "openid")
	hint := got["id_token"].(string)
	for what, row := range map[string]struct{ query, kind string }{
		"not registered, by client_id": {"client_id=app&post_logout_redirect_uri=https://evil.example/", "redirect_uri"},
		"not registered, by hint":      {"id_token_hint=" + hint + "&post_logout_redirect_uri=https://app.example/bye/", "redirect_uri"},
		"another client's":             {"client_id=pair&post_logout_redirect_uri=https://app.example/bye", "redirect_uri"},
		"the redirect URI is not it":   {"client_id=app&post_logout_redirect_uri=https://app.example/cb", "redirect_uri"},
		"unknown client":               {"client_id=nobody", "unknown_client"},
		"client_id is not the hint's":  {"client_id=old&id_token_hint=" + hint, "bad_request"},
		"twice":                        {"state=1&state=2", "bad_request"},
		"not UTF-8":                    {"state=%ff", "bad_request"},
	} {
		a := w.get("/logout?"+row.query, session)
		if page, view := a.page(); page != "error" || view["Kind"] != row.kind || a.StatusCode != 400 || a.Header.Get("Location") != "" || !w.alive(session) {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
}

// After prompt=login the client's ID token names a session that was replaced.
// It is the same person: no question.
func TestLogoutAfterTheSessionWasReplaced(t *testing.T) {
	w := newWorld(t)
	got, _ := w.tokens("app", "openid")
	_, session := w.tokens("app", "openid")
	if a := w.get("/logout?id_token_hint="+got["id_token"].(string), session); a.StatusCode != 303 || w.alive(session) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestSignedOutPage(t *testing.T) {
	w := newWorld(t)
	got, session := w.tokens("app", "openid")
	a := w.get("/logout?id_token_hint="+got["id_token"].(string), session)
	if a.Header.Get("Location") != "/logout/done?client_id=app" {
		t.Fatalf("%s", a.Header.Get("Location"))
	}
	for target, name := range map[string]string{"/logout/done?client_id=app": "App", "/logout/done": "", "/logout/done?client_id=nobody": "", "/logout/done?x=%zz": ""} {
		page, view := w.get(target).page()
		c, _ := view["Client"].(map[string]any)
		if page != "signedout" || c["Name"] != name {
			t.Errorf("%s: %s %v", target, page, view)
		}
	}
	if a := w.do(httptest.NewRequest("POST", issuer+"/logout/done", nil)); a.StatusCode != 405 {
		t.Errorf("POST: %d", a.StatusCode)
	}
}
