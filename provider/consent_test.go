package provider_test

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
)

// approved is an attempt of a client that the phone has approved.
func (w *world) approved(request url.Values, number string) login.ID {
	w.t.Helper()
	id := w.submit(w.get("/authorize?"+request.Encode()), number)
	w.approve(number)
	return id
}

// asks continues an attempt, and wants the question.
func (w *world) asks(id login.ID) (*authorize.ConsentView, *http.Cookie) {
	w.t.Helper()
	done, err := w.provider.Continue(w.t.Context(), id, browser, "")
	if err != nil || done.Consent == nil || done.Response.RedirectURI != "" || done.Session == "" {
		w.t.Fatalf("no question: %+v, %v", done, err)
	}
	return done.Consent, &http.Cookie{Name: "__Host-calleridp_session", Value: string(done.Session)}
}

// decide answers the question.
func (w *world) decide(sealed, decision string, change ...func(*http.Request)) answer {
	w.t.Helper()
	return w.post("/consent", url.Values{"request": {sealed}, "decision": {decision}}, change...)
}

// code is the code in a redirect to a client.
func code(a answer) string {
	_, query := a.to()
	return query.Get("code")
}

// people is the sub of whoever a session cookie signs in.
func (w *world) subOf(session *http.Cookie) string {
	w.t.Helper()
	a := w.get("/authorize?"+asked("app").Encode(), session)
	return claimsOf(w.t, w.exchange("app", code(a)).json()["id_token"])["sub"].(string)
}

func TestConsentComesAfterApprovalAndBeforeTheCode(t *testing.T) {
	w := newWorld(t)
	id := w.approved(asked("third", "scope", "openid phone email"), number)
	before := w.store.Stats().Operations
	view, session := w.asks(id)
	if view.Client.Name != "Third party" || view.Number != "+46•••••0605" || !reflect.DeepEqual(view.Scopes, []string{"openid", "email", "phone"}) || view.FormAction != "https://third.example" {
		t.Errorf("%+v", view)
	}
	if !w.alive(session) {
		t.Error("the person is not signed in")
	}
	// A reload, or the other half of a double click, asks the same again.
	again, sameSession := w.asks(id)
	if sameSession.Value != session.Value || !reflect.DeepEqual(again.Scopes, view.Scopes) {
		t.Errorf("again: %+v", again)
	}
	if page, err := w.provider.View(t.Context(), id, browser); err != nil || page.State != login.Approved {
		t.Errorf("the attempt's page while the question is open: %+v, %v", page, err)
	}
	if _, err := w.provider.Continue(t.Context(), id, "another browser", ""); !errors.Is(err, login.ErrNotYours) {
		t.Errorf("another browser: %v", err)
	}

	a := w.decide(view.Request, "allow", cookie(session))
	at, query := a.to()
	if a.StatusCode != 303 || at != redirects["third"] || query.Get("state") != "the-state" || query.Get("iss") != issuer {
		t.Fatalf("%d %s %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	// One operation for the session, one for what alive asked, one for the
	// consent with its code: no code before it.
	if n := w.store.Stats().Operations - before; n != 3 {
		t.Errorf("%d operations, want 3", n)
	}
	// A second press, or the page that is behind the question, gives the same
	// answer until it is used.
	for _, sealed := range []string{view.Request, again.Request} {
		if b := w.decide(sealed, "allow", cookie(session)); b.Header.Get("Location") != a.Header.Get("Location") {
			t.Errorf("again: %d %s", b.StatusCode, b.Header.Get("Location"))
		}
	}
	done, err := w.provider.Continue(t.Context(), id, browser, secretOf(session))
	if err != nil || done.Consent != nil || param(done.Response, "code") != query.Get("code") {
		t.Errorf("continue after the answer: %+v, %v", done, err)
	}
	got := w.exchange("third", query.Get("code"))
	if c := claimsOf(t, got.json()["id_token"]); c["phone_number"] != number || c["nonce"] != "the-nonce" {
		t.Errorf("%v", c)
	}
	if b := w.decide(view.Request, "allow", cookie(session)); b.StatusCode != 410 || code(b) != "" {
		t.Errorf("after the code was used: %d %s", b.StatusCode, b.body)
	}
	if _, err := w.provider.Continue(t.Context(), id, browser, ""); !errors.Is(err, login.ErrState) {
		t.Errorf("continue after the code was used: %v", err)
	}
	if !strings.Contains(w.log.text(), "consent.given") {
		t.Error("the consent is not in the audit")
	}
}

// What was allowed is remembered for the person, the client and the scopes.
func TestConsentIsRemembered(t *testing.T) {
	w := newWorld(t)
	view, session := w.asks(w.approved(asked("third", "scope", "openid phone"), number))
	if code(w.decide(view.Request, "allow", cookie(session))) == "" {
		t.Fatal("no code")
	}
	_, other := w.signIn(asked("app"), "+46701740606")
	for _, row := range []struct {
		what, client string
		cookie       *http.Cookie
		pairs        []string
		want         string // code, consent, or the error
	}{
		{"the same", "third", session, []string{"scope", "openid phone"}, "code"},
		{"less", "third", session, []string{"scope", "openid"}, "code"},
		{"the same, silently", "third", session, []string{"scope", "openid phone", "prompt", "none"}, "code"},
		{"more", "third", session, []string{"scope", "openid phone email"}, "consent"},
		{"more, silently", "third", session, []string{"scope", "openid phone email", "prompt", "none"}, "consent_required"},
		{"while away", "third", session, []string{"scope", "openid offline_access"}, "consent"},
		{"asked for it", "third", session, []string{"scope", "openid phone", "prompt", "consent"}, "consent"},
		{"another person", "third", other, []string{"scope", "openid phone"}, "consent"},
		{"a client that always asks", "wary", session, nil, "consent"},
		{"the same, silently", "wary", session, []string{"prompt", "none"}, "consent_required"},
		{"one of our own", "app", session, nil, "code"},
		{"one of our own that asks for it", "app", session, []string{"prompt", "consent"}, "consent"},
	} {
		target := "/authorize?" + asked(row.client, row.pairs...).Encode()
		a := w.get(target, row.cookie)
		page, _ := a.page()
		_, query := a.to()
		got := page + query.Get("error")
		if query.Get("code") != "" {
			got = "code"
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.what, got, row.want)
		}
		if a.StatusCode == 303 && (query.Get("state") != "the-state" || query.Get("iss") != issuer) {
			t.Errorf("%s: %v", row.what, query)
		}
	}
	// A sign-in asks nobody twice, either.
	if done, _ := w.signIn(asked("third", "scope", "openid phone"), number); param(done.Response, "code") == "" {
		t.Errorf("a new sign-in: %+v", done)
	}
	// Allowed twice is allowed together.
	_, v := w.get("/authorize?"+asked("third", "scope", "openid email").Encode(), session).page()
	if code(w.decide(v["Request"].(string), "allow", cookie(session))) == "" {
		t.Fatal("no code")
	}
	if a := w.get("/authorize?"+asked("third", "scope", "openid phone email").Encode(), session); code(a) == "" {
		t.Errorf("both: %d %s", a.StatusCode, a.body)
	}
	kept, err := w.store.Consent(t.Context(), w.subOf(session), "third")
	if err != nil || !reflect.DeepEqual(kept.Scopes, []string{"openid", "phone", "email"}) {
		t.Errorf("%+v, %v", kept, err)
	}
}

// Looking at the question, however often, writes nothing.
func TestInvariant1_TheQuestionIsNotStored(t *testing.T) {
	w := newWorld(t)
	_, session := w.signIn(asked("app"), number)
	before := w.store.Stats().Operations
	target := "/authorize?" + asked("third").Encode()
	for range 5 {
		if page, view := w.get(target, session).page(); page != "consent" || strings.Contains(view["Request"].(string), "third.example") {
			t.Fatalf("%s %v", page, view)
		}
	}
	if n := w.store.Stats().Operations - before; n != 0 {
		t.Errorf("%d operations", n)
	}
}

func TestConsentIsRefused(t *testing.T) {
	w := newWorld(t)
	_, session := w.signIn(asked("app"), number)
	_, view := w.get("/authorize?"+asked("third").Encode(), session).page()
	sealed := view["Request"].(string)
	a := w.decide(sealed, "deny", cookie(session))
	at, query := a.to()
	if a.StatusCode != 303 || at != redirects["third"] || query.Get("error") != "access_denied" || query.Get("state") != "the-state" || query.Get("iss") != issuer || query.Get("code") != "" {
		t.Errorf("%d %s", a.StatusCode, a.Header.Get("Location"))
	}
	if _, err := w.store.Consent(t.Context(), w.subOf(session), "third"); !errors.Is(err, consent.ErrNotFound) {
		t.Errorf("kept: %v", err)
	}
	if !strings.Contains(w.log.text(), "consent.denied") {
		t.Error("not in the audit")
	}
	// Another number: the same request from the start.
	again := w.decide(sealed, "another", cookie(session))
	id := w.submit(again, "+46701740606")
	w.approve("+46701740606")
	if view, _ := w.asks(id); view.Number != "+46•••••0606" {
		t.Errorf("%+v", view)
	}
	// form_post is answered by a form.
	_, view = w.get("/authorize?"+asked("third", "response_mode", "form_post").Encode(), session).page()
	if page, _ := w.decide(view["Request"].(string), "allow", cookie(session)).page(); page != "formpost" {
		t.Errorf("%s", page)
	}
}

// The question belongs to the browser that is signed in, and to its person.
func TestConsentBelongsToTheBrowserThatSignedIn(t *testing.T) {
	w := newWorld(t)
	view, session := w.asks(w.approved(asked("third"), number))
	_, stranger := w.signIn(asked("app"), "+46701740606")
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	nonsense := url.Values{"request": {view.Request}, "decision": {"perhaps"}}
	for what, row := range map[string]struct {
		answer answer
		status int
		kind   string
	}{
		"no session":             {w.decide(view.Request, "allow"), 400, "request_expired"},
		"a made-up session":      {w.decide(view.Request, "allow", cookie(&http.Cookie{Name: session.Name, Value: "x"})), 400, "request_expired"},
		"another person":         {w.decide(view.Request, "allow", cookie(stranger)), 403, "not_your_browser"},
		"another person refuses": {w.decide(view.Request, "deny", cookie(stranger)), 403, "not_your_browser"},
		"from another site":      {w.decide(view.Request, "allow", cookie(session), crossSite), 403, "cross_origin"},
		"not sealed":             {w.decide("x", "allow", cookie(session)), 400, "bad_request"},
		"changed":                {w.decide(view.Request[1:], "allow", cookie(session)), 400, "bad_request"},
		"too old":                {w.decide(aged(t, "consent-request", view.Request), "allow", cookie(session)), 400, "request_expired"},
		"neither yes nor no":     {w.post("/consent", nonsense, cookie(session)), 400, "bad_request"},
		"looked at":              {w.get("/consent", session), 405, "method_not_allowed"},
	} {
		page, v := row.answer.page()
		if row.answer.StatusCode != row.status || page != "error" || v["Kind"] != row.kind {
			t.Errorf("%s: %d %s", what, row.answer.StatusCode, row.answer.body)
		}
	}
	// A sealed sign-in is no sealed question, nor the other way round.
	_, signin := w.get("/authorize?" + asked("third").Encode()).page()
	if a := w.decide(signin["Request"].(string), "allow", cookie(session)); a.StatusCode != 400 {
		t.Errorf("a sign-in request as a question: %d", a.StatusCode)
	}
	if _, err := w.provider.Submit(t.Context(), authorize.Submission{Request: view.Request, Phone: number, Browser: browser}); !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("a question as a sign-in request: %v", err)
	}
	// Signed in anew in another tab, as the same person: the question still
	// stands. An older sign-in of the same person does not answer it.
	late, newer := w.asks(w.approved(asked("third", "prompt", "login"), number))
	if a := w.decide(late.Request, "allow", cookie(session)); a.StatusCode != 403 {
		t.Errorf("an older sign-in: %d %s", a.StatusCode, a.body)
	}
	if a := w.decide(view.Request, "allow", cookie(newer)); code(a) == "" {
		t.Errorf("a newer sign-in: %d %s", a.StatusCode, a.body)
	}
	// A session that has ended answers nothing.
	if err := w.store.EndSession(t.Context(), sidOf(t, w, newer)); err != nil {
		t.Fatal(err)
	}
	if a := w.decide(late.Request, "allow", cookie(newer)); a.StatusCode != 400 {
		t.Errorf("an ended session: %d", a.StatusCode)
	}
}

// sidOf is the sid of a session cookie.
func sidOf(t *testing.T, w *world, session *http.Cookie) string {
	t.Helper()
	a := w.get("/authorize?"+asked("es256").Encode(), session)
	return claimsOf(t, w.exchange("es256", code(a)).json()["id_token"])["sid"].(string)
}

// The client may be gone, or its redirect URI, when the answer comes.
func TestConsentLooksAtTheClientAgain(t *testing.T) {
	w := newWorld(t)
	c := clients()[0]
	c.ID, c.Consent = "brief", "remember"
	c, _, err := w.registry.Add(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, session := w.signIn(asked("app"), number)
	_, view := w.get("/authorize?"+asked("app", "client_id", c.ID).Encode(), session).page()
	if err := w.registry.Remove(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if a := w.decide(view["Request"].(string), "allow", cookie(session)); a.StatusCode != 400 || code(a) != "" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// What people have allowed a client that was removed, they have not allowed the
// next one of its ID.
func TestConsentEndsWithTheClient(t *testing.T) {
	w := newWorld(t)
	c := clients()[0]
	c.ID, c.Consent = "brief", client.ConsentRemember
	c, _, err := w.registry.Add(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, session := w.signIn(asked("app"), number)
	ask := func(scope string) (string, string) {
		t.Helper()
		a := w.get("/authorize?"+asked("app", "client_id", c.ID, "scope", scope).Encode(), session)
		if code(a) != "" {
			return "a code", ""
		}
		page, view := a.page()
		request, _ := view["Request"].(string)
		return page, request
	}
	allow := func(scope string) {
		t.Helper()
		page, request := ask(scope)
		if page != "consent" {
			t.Fatalf("%s: %s, and not a question", scope, page)
		}
		if a := w.decide(request, "allow", cookie(session)); code(a) == "" {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		if page, _ := ask(scope); page != "a code" {
			t.Fatalf("%s is not remembered: %s", scope, page)
		}
	}
	allow("openid phone email")
	if err := w.registry.Remove(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if c, _, err = w.registry.Add(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	allow("openid")
	allow("openid phone")
}
