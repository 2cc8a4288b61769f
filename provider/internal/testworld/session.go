// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"net/http"
	"net/http/httptest"
	"net/url"

	"calleridp/provider/authorize"
	"calleridp/provider/login"
)

// SignedIn reports whether the session signs in to a client without a push.
func (w *World) SignedIn(session *http.Cookie) bool {
	w.t.Helper()
	return w.AuthorizeWith(session, "es256", "prompt", "none").Code() != ""
}

// Code gets a code for the client in a session.
func (w *World) Code(session *http.Cookie, clientID string, pairs ...string) string {
	w.t.Helper()
	a := w.AuthorizeWith(session, clientID, pairs...)
	if a.Code() == "" {
		w.t.Fatalf("authorization request of %s: got %v, want a code", clientID, a)
	}
	return a.Code()
}

// CodeTokens gets tokens for the client in a session.
func (w *World) CodeTokens(session *http.Cookie, clientID string, pairs ...string) Tokens {
	w.t.Helper()
	return TokensIn(w.t, w.Exchange(clientID, w.Code(session, clientID, pairs...)))
}

// Claim returns a claim about a session, from an ID token of a client that has no
// other: "sub" or "sid".
func (w *World) Claim(session *http.Cookie, name string) string {
	w.t.Helper()
	text, _ := w.CodeTokens(session, "es256").Claims(w.t)[name].(string)
	return text
}

// Prompted continues an attempt that must lead to the consent prompt. It returns
// the prompt and the session.
func (w *World) Prompted(id login.ID) (*authorize.ConsentView, *http.Cookie) {
	w.t.Helper()
	done, err := w.Continue(id)
	if err != nil || done.Consent == nil || done.Response.RedirectURI != "" || done.Session == "" {
		w.t.Fatalf("continuing: got %+v, %v, want the consent prompt", done, err)
	}
	return done.Consent, SessionCookie(done.Session)
}

// PromptedFor signs the user of Number in to a client that must lead to the consent
// prompt, with an AuthRequest of these pairs.
func (w *World) PromptedFor(clientID string, pairs ...string) (*authorize.ConsentView, *http.Cookie) {
	w.t.Helper()
	return w.Prompted(w.Approved(AuthRequest(clientID, pairs...), Number))
}

// ConsentRequest returns the sealed request of the consent prompt that the
// client's authorization request leads to in a session.
func (w *World) ConsentRequest(session *http.Cookie, clientID string, pairs ...string) string {
	w.t.Helper()
	return SealedRequest(w.t, w.AuthorizeWith(session, clientID, pairs...), "consent")
}

// Decide sends the form of a consent prompt: decision is allow, deny or another.
func (w *World) Decide(sealed, decision string, change ...Change) Response {
	w.t.Helper()
	return w.Post("/consent", url.Values{"request": {sealed}, "decision": {decision}}, change...)
}

// Allow allows what a consent prompt shows, in a session.
func (w *World) Allow(sealed string, session *http.Cookie) Response {
	w.t.Helper()
	return w.Decide(sealed, "allow", Cookie(session))
}

// Reopen shows a page again, for a browser with these cookies.
func (w *World) Reopen(page authorize.Reopening, cookies ...*http.Cookie) Response {
	w.t.Helper()
	r, recorder := httptest.NewRequest(http.MethodPost, "/language", nil), httptest.NewRecorder()
	for _, c := range cookies {
		r.AddCookie(c)
	}
	page.Network = Network
	w.Flow.Reopen(recorder, r, page)
	return read(w.t, recorder)
}
