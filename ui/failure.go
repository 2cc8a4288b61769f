package ui

import (
	"context"
	"errors"
	"net/http"

	"calleridp/provider"
	"calleridp/provider/login"
)

// Errors of the handlers themselves.
var (
	errCrossOrigin = errors.New("ui: a form of another site")
	errFinished    = errors.New("ui: the attempt was used already")
	errNoPage      = errors.New("ui: no such page")
)

// known are the errors that have a page of their own. Every other error is ours:
// 500, and the cause is in the log only (invariant 10).
var known = []struct {
	err  error
	kind provider.ErrorKind
}{
	{provider.ErrNotYours, provider.ErrorNotYourBrowser},
	{login.ErrNotYours, provider.ErrorNotYourBrowser},
	{login.ErrNotFound, provider.ErrorNotFound},
	{errNoPage, provider.ErrorNotFound},
	{provider.ErrRequestExpired, provider.ErrorRequestExpired},
	{provider.ErrBadRequest, provider.ErrorBadRequest},
	{errCrossOrigin, provider.ErrorCrossOrigin},
	{errFinished, provider.ErrorFinished},
}

// statuses are those that ErrorKind promises.
var statuses = map[provider.ErrorKind]int{
	provider.ErrorBadRequest:       http.StatusBadRequest,
	provider.ErrorUnknownClient:    http.StatusBadRequest,
	provider.ErrorRedirectURI:      http.StatusBadRequest,
	provider.ErrorRequestExpired:   http.StatusBadRequest,
	provider.ErrorNotYourBrowser:   http.StatusForbidden,
	provider.ErrorNotFound:         http.StatusNotFound,
	provider.ErrorMethodNotAllowed: http.StatusMethodNotAllowed,
	provider.ErrorFinished:         http.StatusGone,
	provider.ErrorTooLarge:         http.StatusRequestEntityTooLarge,
	provider.ErrorCrossOrigin:      http.StatusForbidden,
	provider.ErrorInternal:         http.StatusInternalServerError,
}

func kindOf(err error) provider.ErrorKind {
	for _, k := range known {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return provider.ErrorTooLarge
	}
	return provider.ErrorInternal
}

// answer writes the page for what a handler returned, if it returned an error.
func (u *UI) answer(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		return
	}
	if refusal := (*provider.Refusal)(nil); errors.As(err, &refusal) {
		view := refusal.View
		view.Problem = &refusal.Problem
		u.SignIn(w, r, view)
		return
	}
	u.Error(w, r, provider.ErrorView{Kind: u.note(w, r, err), Correlation: correlation(w)})
}

// note logs an error that is ours, and says what to show for it.
func (u *UI) note(w http.ResponseWriter, r *http.Request, err error) provider.ErrorKind {
	kind := kindOf(err)
	if kind == provider.ErrorInternal && !errors.Is(r.Context().Err(), context.Canceled) {
		u.Log.ErrorContext(r.Context(), "a page failed", "method", r.Method, "path", r.URL.Path,
			"correlation", correlation(w), "error", err)
	}
	return kind
}

// correlation is the id that the server has given to the request.
func correlation(w http.ResponseWriter) string { return w.Header().Get("X-Request-ID") }
