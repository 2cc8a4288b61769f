// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/ui/page"
)

// Errors of the handlers themselves.
var (
	errCrossOrigin = errors.New("signin: another site posted the form")
	errFinished    = errors.New("signin: the attempt was already used")
)

// kinds lists the errors that have a page of their own. Every other error is a server
// error: 500, and the cause is in the log only (invariant 10).
var kinds = []struct {
	err  error
	kind endpoint.ErrorKind
}{
	{login.ErrNotYours, endpoint.ErrorNotYourBrowser},
	{login.ErrNotFound, endpoint.ErrorNotFound},
	{endpoint.ErrRequestExpired, endpoint.ErrorRequestExpired},
	{endpoint.ErrBadRequest, endpoint.ErrorBadRequest},
	{errCrossOrigin, endpoint.ErrorCrossOrigin},
	{errFinished, endpoint.ErrorFinished},
}

func kindOf(err error) endpoint.ErrorKind {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return endpoint.ErrorTooLarge
	}
	return endpoint.ErrorInternal
}

// respond writes the page for the error of a handler, if there is one.
func (h *Handlers) respond(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		return
	}
	if refusal, ok := errors.AsType[*authorize.Refusal](err); ok {
		view := refusal.View
		view.Problem = &refusal.Problem
		h.cfg.Pages.SignIn(w, r, view)
		return
	}
	kind, status := h.report(w, r, err)
	v := endpoint.ErrorView{Kind: kind, Status: status, Correlation: correlation(w)}
	if again, ok := errors.AsType[*endpoint.RestartError](err); ok {
		v.Client, v.Restart = again.Client, again.URL
	}
	h.cfg.Pages.Error(w, r, v)
}

// respondToScript writes the JSON for the error of a handler that a script called.
func (h *Handlers) respondToScript(w http.ResponseWriter, r *http.Request, err error) {
	kind, status := h.report(w, r, err)
	scriptHeaders(w, "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": string(kind)}) // an error means that the browser has gone
}

// report logs a server error, and returns the kind of page to show for err and its
// status. It sets Retry-After where the cause goes by.
func (h *Handlers) report(w http.ResponseWriter, r *http.Request, err error) (endpoint.ErrorKind, int) {
	kind := kindOf(err)
	if kind != endpoint.ErrorInternal {
		return kind, page.Status(kind)
	}
	if !errors.Is(r.Context().Err(), context.Canceled) {
		h.cfg.Log.ErrorContext(r.Context(), "a page failed", "method", r.Method, "path", r.URL.Path,
			"correlation", correlation(w), "error", err)
	}
	return kind, endpoint.FailureStatus(w, err)
}

// correlation returns the id that the server gave to the request.
func correlation(w http.ResponseWriter) string { return w.Header().Get("X-Request-ID") }

// scriptHeaders sets the headers of a response to a script.
func scriptHeaders(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
