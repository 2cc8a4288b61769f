package ui

import (
	"context"
	"errors"
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"

	"github.com/go-chi/chi/v5"
)

// Flow is what the handlers need of the provider; *provider.Provider is one. The
// contract of each method is with provider.Flow.
type Flow interface {
	Submit(ctx context.Context, s authorize.Submission) (login.ID, error)
	StartOneTap(ctx context.Context, s authorize.OneTapSubmission) (authorize.OneTapStarted, error)
	NewOneTap(ctx context.Context, request string) (*authorize.OneTapView, error)
	View(ctx context.Context, id login.ID, browser string) (authorize.AttemptView, error)
	Watch(id login.ID, browser string) login.Watcher
	Continue(ctx context.Context, id login.ID, browser, session string) (authorize.Finished, error)
	Cancel(ctx context.Context, id login.ID, browser string) error
	Again(ctx context.Context, id login.ID, browser string) (authorize.SignInView, error)
	Leave(ctx context.Context, id login.ID, browser string) (authorize.Response, error)
	Reopen(w http.ResponseWriter, r *http.Request, page authorize.Reopening)
}

// maxForm is how much of a form is read, in bytes. A sealed authorization
// request is the most of it.
const maxForm = 64 << 10

// handler is one request to the pages. It returns an error before it has written
// anything, or nil.
type handler func(w http.ResponseWriter, r *http.Request) error

// Mount registers the pages' own paths on r, which serves the issuer's path.
func (u *UI) Mount(r chi.Router, flow Flow) {
	h := handlers{UI: u, flow: flow}
	attempt := endpoint.PathAttempt + "{id}"

	u.post(r, endpoint.PathLanguage, h.language)
	u.post(r, endpoint.PathSignIn, h.signIn)
	u.post(r, endpoint.PathOneTap, h.startOneTap)
	u.get(r, attempt, h.attempt)
	u.get(r, attempt+endpoint.AttemptContinue, h.proceed)
	u.post(r, attempt+endpoint.AttemptCancel, h.cancel)
	u.post(r, attempt+endpoint.AttemptAgain, h.again)
	u.post(r, attempt+endpoint.AttemptLeave, h.leave)
	r.Get(attempt+endpoint.AttemptStatus, h.status)
	r.Get(attempt+endpoint.AttemptEvents, h.events)
	u.get(r, pathStatic+"{name}", u.static.serve)
}

// get registers a page.
func (u *UI) get(r chi.Router, pattern string, h handler) {
	r.Get(pattern, func(w http.ResponseWriter, r *http.Request) { u.answer(w, r, h(w, r)) })
}

// post registers a form. A form of another site is refused, and one that is too
// large; so no handler can forget it.
func (u *UI) post(r chi.Router, pattern string, h handler) {
	r.Post(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := u.origin.Check(r); err != nil {
			u.answer(w, r, errCrossOrigin)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			if tooLarge := (*http.MaxBytesError)(nil); !errors.As(err, &tooLarge) {
				err = endpoint.ErrBadRequest
			}
			u.answer(w, r, err)
			return
		}
		u.answer(w, r, h(w, r))
	})
}

// handlers are the pages' handlers over one flow.
type handlers struct {
	*UI
	flow Flow
}

// attemptID is the attempt that the path names.
func attemptID(r *http.Request) (login.ID, error) {
	id := chi.URLParam(r, "id")
	if len(id) != 22 || !isBase64URL(id) {
		return "", login.ErrNotFound
	}
	return login.ID(id), nil
}

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
