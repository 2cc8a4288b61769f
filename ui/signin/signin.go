// SPDX-License-Identifier: Apache-2.0

// Package signin handles what a browser sends from the pages of a sign-in:
//
//	POST /language                selects another language      -> the same page
//	POST /signin                  submits a number              -> 303 to the attempt
//	POST /onetap                  opens the one-tap link        -> 303 to the attempt, or JSON
//	GET  /attempt/{id}            waiting, approved, or how it ended
//	GET  /attempt/{id}/events     the same, live (server-sent events)
//	GET  /attempt/{id}/status     the same, once (JSON)
//	GET  /attempt/{id}/continue   uses an approved attempt      -> to the client
//	POST /attempt/{id}/cancel     ends it                       -> 303 to the attempt
//	POST /attempt/{id}/again      the sign-in page once more
//	POST /attempt/{id}/leave      to the client, without success
//
// The provider decides what happens to a sign-in. These handlers pass on what the user
// did, and show the result. All of it works without JavaScript; the script makes it
// faster and quieter.
package signin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/ui/language"

	"github.com/go-chi/chi/v5"
)

// Flow is what a user can do with a sign-in. provider.Flow implements it.
type Flow interface {
	// BrowserFor returns the secret under which a form starts an attempt: a new one, unless
	// an attempt of the cookie's secret is live. The same form gives the same one.
	BrowserFor(ctx context.Context, form authorize.SentForm) (login.BrowserSecret, error)

	// Owner returns the secret that started an attempt, or the first.
	Owner(ctx context.Context, id login.ID, secrets ...login.BrowserSecret) login.BrowserSecret

	// Submit starts an attempt and requests Truecaller's push. If it returns a
	// *authorize.Refusal, the sign-in page is shown again with what the user typed.
	// endpoint.ErrRequestExpired and endpoint.ErrBadRequest are error pages.
	Submit(ctx context.Context, s authorize.Submission) (login.ID, error)

	// StartOneTap starts an attempt whose link the browser opens. Repeated while that
	// attempt is live, it returns the same attempt; afterwards it starts another one with
	// another link. Its errors are those of Submit.
	StartOneTap(ctx context.Context, s authorize.OneTapSubmission) (authorize.OneTapStarted, error)

	// NewOneTap returns another link for the sealed request of a page that is still open,
	// because a nonce is good for one attempt. It returns nil if there is no link.
	NewOneTap(ctx context.Context, request string) (*authorize.OneTapView, error)

	// View returns what a page may show. It returns login.ErrNotYours if another
	// browser started the attempt, and login.ErrNotFound if there is no such attempt.
	View(ctx context.Context, id login.ID, browser login.BrowserSecret) (authorize.AttemptView, error)

	// Heard is View for a page that watches the attempt: it may be without a change of
	// which the page gets a hint soon.
	Heard(ctx context.Context, id login.ID, browser login.BrowserSecret) (authorize.AttemptView, error)

	// Open is View for the page that the browser opens, and perhaps without such a change, too.
	Open(ctx context.Context, id login.ID, browser login.BrowserSecret) (authorize.AttemptView, error)

	// Watch watches an attempt for a browser, "" for none. It writes nothing to the
	// store. The caller calls Heard after each hint.
	Watch(ctx context.Context, id login.ID, browser login.BrowserSecret) login.Watcher

	// Serves reports whether an attempt serves the request that a page of it has shown.
	Serves(ctx context.Context, id login.ID, browser login.BrowserSecret, shown string) (bool, error)
	// Continue uses an approved attempt, once (approved -> done), and returns
	// login.ErrState if it is not approved. cookie is the secret of the browser's
	// session cookie, "" for none; the new session replaces that session.
	Continue(ctx context.Context, id login.ID, browser login.BrowserSecret, cookie session.Secret) (authorize.Finished, error)

	// Remember returns the device cookie of a browser that has finished an attempt. cookie
	// is the one that it had.
	Remember(ctx context.Context, id login.ID, browser login.BrowserSecret, cookie []string) ([]string, error)

	// Cancel ends the attempt at the user's request. It does nothing if the attempt has
	// ended.
	Cancel(ctx context.Context, id login.ID, browser login.BrowserSecret) error

	// Again returns the sign-in page for the attempt's request, from which the user can
	// start another attempt.
	Again(ctx context.Context, id login.ID, browser login.BrowserSecret, another bool) (authorize.SignInView, error)

	// Leave returns the access_denied response for the client of an attempt that ended
	// without success.
	Leave(ctx context.Context, id login.ID, browser login.BrowserSecret) (authorize.Response, error)

	// Reopen writes the page once more whose form holds a sealed request, or an error
	// page. It changes nothing.
	Reopen(w http.ResponseWriter, r *http.Request, page authorize.Reopening)
}

// Pages draws the pages of a sign-in. *page.Pages implements it.
type Pages interface {
	authorize.Pages
	endpoint.ErrorPages
	// Waiting shows that the user must approve the attempt on their phone.
	Waiting(w http.ResponseWriter, r *http.Request, v authorize.AttemptView)
	// Approved leads to the client after a success.
	Approved(w http.ResponseWriter, r *http.Request, v authorize.AttemptView)
	// Leaving leads to the client without a success. to is a URL of the web.
	Leaving(w http.ResponseWriter, r *http.Request, v authorize.AttemptView, to string)
	// Ended shows how an attempt ended without success.
	Ended(w http.ResponseWriter, r *http.Request, v authorize.AttemptView)
}

// Config holds what the handlers need. Every field is required unless it says
// otherwise.
type Config struct {
	Pages     Pages
	Languages func() *language.Set // as the pages are drawn now

	// Origin is the issuer's origin, which may post forms even if a proxy changes the
	// Host. If empty, the request's own Host decides alone.
	Origin string
	// Base is the issuer's path without a slash at its end. Optional.
	Base    string
	Cookies endpoint.Cookies
	// ClientAddr returns the address of the user's browser, behind all trusted proxies.
	ClientAddr func(*http.Request) netip.Addr

	Log *slog.Logger
}

// Handlers handles the requests. It is safe for concurrent use.
type Handlers struct {
	cfg        Config
	sameOrigin *http.CrossOriginProtection

	draining     chan struct{} // closed by Drain
	drain        sync.Once
	heartbeat    time.Duration // between two events on a quiet stream
	writeTimeout time.Duration // of one event
	lookups      chan struct{} // holds an entry for each stream that is reading its attempt
}

// New returns the handlers. Mount them over a flow.
func New(c Config) (*Handlers, error) {
	h := &Handlers{
		cfg:          c,
		sameOrigin:   http.NewCrossOriginProtection(),
		draining:     make(chan struct{}),
		heartbeat:    15 * time.Second,
		writeTimeout: 10 * time.Second,
		lookups:      make(chan struct{}, maxLookups),
	}
	if c.Origin != "" {
		if err := h.sameOrigin.AddTrustedOrigin(c.Origin); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Drain ends the live connections of waiting pages, so that a server can shut down.
// Call it from http.Server.RegisterOnShutdown. The pages reconnect by themselves, to
// whichever server responds then.
func (h *Handlers) Drain() { h.drain.Do(func() { close(h.draining) }) }

// maxForm limits how much of a form is read, in bytes. Most of a form is its sealed
// authorization request.
const maxForm = 64 << 10

// handler handles one request. It returns an error before it has written anything, or
// nil.
type handler func(w http.ResponseWriter, r *http.Request) error

// mounted holds the handlers over one flow.
type mounted struct {
	*Handlers
	flow Flow
}

// Mount registers the handlers on r, which serves the issuer's path.
func (h *Handlers) Mount(r chi.Router, flow Flow) {
	m := mounted{Handlers: h, flow: flow}
	attempt := endpoint.PathAttempt + "{id}"

	h.post(r, endpoint.PathLanguage, m.language)
	h.post(r, endpoint.PathSignIn, m.submit)
	h.post(r, endpoint.PathOneTap, m.startOneTap)
	h.get(r, attempt, m.attempt)
	h.get(r, attempt+endpoint.AttemptContinue, m.proceed)
	h.post(r, attempt+endpoint.AttemptCancel, m.cancel)
	h.post(r, attempt+endpoint.AttemptAgain, m.again)
	h.post(r, attempt+endpoint.AttemptLeave, m.leave)
	r.Get(attempt+endpoint.AttemptStatus, m.status)
	r.Get(attempt+endpoint.AttemptEvents, m.events)
}

// get registers a page.
func (h *Handlers) get(r chi.Router, pattern string, handle handler) {
	r.Get(pattern, func(w http.ResponseWriter, r *http.Request) { h.respond(w, r, handle(w, r)) })
}

// post registers a form. It refuses another site's form, and one that is too large, so
// that no handler can forget to.
func (h *Handlers) post(r chi.Router, pattern string, handle handler) {
	r.Post(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := h.sameOrigin.Check(r); err != nil {
			h.respond(w, r, errCrossOrigin)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := readForm(r); err != nil {
			h.respond(w, r, err)
			return
		}
		h.respond(w, r, handle(w, r))
	})
}

// readForm fills r.PostForm, which stays empty for a body that is no form. The query is not looked
// at: the forms' addresses have none.
func readForm(r *http.Request) error {
	r.PostForm = url.Values{}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	if err != nil {
		return endpoint.ErrBadRequest
	}
	r.PostForm = endpoint.ParseForm(string(body))
	return nil
}

// seeOther redirects to one of our own paths.
func (h *Handlers) seeOther(w http.ResponseWriter, path string) {
	header := w.Header()
	header.Set("Location", h.cfg.Base+path)
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// seeAttempt redirects to the page of an attempt.
func (h *Handlers) seeAttempt(w http.ResponseWriter, id login.ID) {
	h.seeOther(w, endpoint.PathAttempt+string(id))
}

// attemptOf returns the attempt that the path names, and the secret of the browser's
// cookie that started it.
func (m mounted) attemptOf(r *http.Request) (id login.ID, browser login.BrowserSecret, err error) {
	name := chi.URLParam(r, "id")
	if len(name) != 22 || !isBase64URL(name) {
		return "", "", login.ErrNotFound
	}
	cookie := m.cfg.Cookies.Browser(r)
	if cookie.Before == "" {
		return login.ID(name), cookie.Secret, nil
	}
	return login.ID(name), m.flow.Owner(r.Context(), login.ID(name), cookie.Secrets()...), nil
}

// isBase64URL reports whether s contains nothing but the alphabet of base64url.
func isBase64URL(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
