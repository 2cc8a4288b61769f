package ui

import (
	"context"
	"errors"
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
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
	kind endpoint.ErrorKind
}{
	{login.ErrNotYours, endpoint.ErrorNotYourBrowser},
	{login.ErrNotYours, endpoint.ErrorNotYourBrowser},
	{login.ErrNotFound, endpoint.ErrorNotFound},
	{errNoPage, endpoint.ErrorNotFound},
	{endpoint.ErrRequestExpired, endpoint.ErrorRequestExpired},
	{endpoint.ErrBadRequest, endpoint.ErrorBadRequest},
	{errCrossOrigin, endpoint.ErrorCrossOrigin},
	{errFinished, endpoint.ErrorFinished},
}

// statuses are those that ErrorKind promises.
var statuses = map[endpoint.ErrorKind]int{
	endpoint.ErrorBadRequest:       http.StatusBadRequest,
	endpoint.ErrorUnknownClient:    http.StatusBadRequest,
	endpoint.ErrorRedirectURI:      http.StatusBadRequest,
	endpoint.ErrorRequestExpired:   http.StatusBadRequest,
	endpoint.ErrorNotYourBrowser:   http.StatusForbidden,
	endpoint.ErrorNotFound:         http.StatusNotFound,
	endpoint.ErrorMethodNotAllowed: http.StatusMethodNotAllowed,
	endpoint.ErrorFinished:         http.StatusGone,
	endpoint.ErrorTooLarge:         http.StatusRequestEntityTooLarge,
	endpoint.ErrorCrossOrigin:      http.StatusForbidden,
	endpoint.ErrorInternal:         http.StatusInternalServerError,
}

func kindOf(err error) endpoint.ErrorKind {
	for _, k := range known {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return endpoint.ErrorTooLarge
	}
	return endpoint.ErrorInternal
}

// answer writes the page for what a handler returned, if it returned an error.
func (u *UI) answer(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		return
	}
	if refusal := (*authorize.Refusal)(nil); errors.As(err, &refusal) {
		view := refusal.View
		view.Problem = &refusal.Problem
		u.SignIn(w, r, view)
		return
	}
	u.Error(w, r, endpoint.ErrorView{Kind: u.note(w, r, err), Correlation: correlation(w)})
}

// note logs an error that is ours, and says what to show for it.
func (u *UI) note(w http.ResponseWriter, r *http.Request, err error) endpoint.ErrorKind {
	kind := kindOf(err)
	if kind == endpoint.ErrorInternal && !errors.Is(r.Context().Err(), context.Canceled) {
		u.Log.ErrorContext(r.Context(), "a page failed", "method", r.Method, "path", r.URL.Path,
			"correlation", correlation(w), "error", err)
	}
	return kind
}

// correlation is the id that the server has given to the request.
func correlation(w http.ResponseWriter) string { return w.Header().Get("X-Request-ID") }
