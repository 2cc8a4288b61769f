// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"calleridp/provider/client"
)

// PageError is a refusal that the user reads on an error page.
type PageError struct{ View ErrorView }

func (e *PageError) Error() string {
	return "refused: " + string(e.View.Kind) + ": " + e.View.Detail
}

// NewPageError returns a PageError. detail is for the client's developer.
func NewPageError(kind ErrorKind, status int, detail string, args ...any) *PageError {
	return &PageError{ErrorView{Kind: kind, Status: status, Detail: fmt.Sprintf(detail, args...)}}
}

// In sets the languages in which the page is shown, best first.
func (e *PageError) In(locales []string) *PageError {
	e.View.UILocales = locales
	return e
}

// PageHandler handles a browser's request. It returns an error before it has
// written anything, or nil. A *PageError shows its page, an unreadable, unopened
// or expired request the fitting one; any other error is an internal one.
type PageHandler func(w http.ResponseWriter, r *http.Request) error

// Browser is what the endpoints that browsers visit have in common.
type Browser struct {
	failures Failures
	pages    ErrorPages
	origin   *http.CrossOriginProtection
	detail   bool
	logos    Logos // nil: pages show none
}

// NewBrowser returns a Browser for the issuer's origin. detail shows developers
// on the page what was wrong with their request.
func NewBrowser(issuer string, pages ErrorPages, failures Failures, detail bool) (*Browser, error) {
	b := &Browser{failures: failures, pages: pages, origin: http.NewCrossOriginProtection(), detail: detail}
	if err := b.origin.AddTrustedOrigin(issuer); err != nil {
		return nil, fmt.Errorf("endpoint: issuer: %w", err)
	}
	return b, nil
}

// ShowLogos sets what the views of clients have their logos from. Call it before anything
// is served.
func (b *Browser) ShowLogos(l Logos) { b.logos = l }

// ViewFor returns what a page that leads to a response to redirectURI may say about c, with
// its logo; "" for a page that leads to none.
func (b *Browser) ViewFor(c client.Client, redirectURI string) ClientView {
	v := ViewFor(c, redirectURI)
	ofADevice := c.Registration != nil && c.DeviceFlow && redirectURI == "" // no host stands behind it
	if b.logos != nil && !ofADevice {
		v.Logo = b.logos.Of(c)
	}
	return v
}

// Page serves h for these methods. Pages are never cached, and no referrer
// leaves them.
func (b *Browser) Page(h PageHandler, methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(methods, r.Method) {
			for _, m := range methods {
				w.Header().Add("Allow", m)
			}
			b.ShowError(w, r, ErrorView{Kind: ErrorMethodNotAllowed, Status: http.StatusMethodNotAllowed})
			return
		}
		NoStore(w)
		w.Header().Set("Referrer-Policy", "no-referrer")
		if err := h(w, r); err != nil {
			b.Fail(w, r, err)
		}
	}
}

// FormHandler handles a form of one of our own pages.
type FormHandler func(w http.ResponseWriter, r *http.Request, in Parameters) error

// OwnForm passes on a form that one of our own pages sent, and refuses one of
// another site, so that no handler can forget to.
func (b *Browser) OwnForm(h FormHandler) PageHandler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := b.origin.Check(r); err != nil {
			return NewPageError(ErrorCrossOrigin, http.StatusForbidden, "%v", err)
		}
		in, err := Body(r)
		if err != nil {
			return err
		}
		return h(w, r, in)
	}
}

// Fail shows the error page for err.
func (b *Browser) Fail(w http.ResponseWriter, r *http.Request, err error) {
	var again RestartError
	if found, ok := errors.AsType[*RestartError](err); ok {
		again = *found
	}
	if refused, ok := errors.AsType[*PageError](err); ok {
		v := refused.View
		v.Client, v.Restart = again.Client, again.URL
		b.ShowError(w, r, v)
		return
	}
	switch {
	case errors.Is(err, ErrTooLarge):
		b.ShowError(w, r, ErrorView{Kind: ErrorTooLarge, Status: http.StatusRequestEntityTooLarge, Detail: err.Error()})
	case errors.Is(err, ErrForm), errors.Is(err, ErrMediaType), errors.Is(err, ErrRepeated), errors.Is(err, ErrBadRequest):
		b.ShowError(w, r, ErrorView{Kind: ErrorBadRequest, Status: http.StatusBadRequest, Detail: err.Error()})
	case errors.Is(err, ErrRequestExpired):
		b.ShowError(w, r, ErrorView{Kind: ErrorRequestExpired, Status: http.StatusBadRequest, Client: again.Client, Restart: again.URL})
	default:
		b.ShowError(w, r, ErrorView{
			Kind:        ErrorInternal,
			Status:      FailureStatus(w, err),
			Correlation: b.failures.Correlate(r.Context(), "a page failed", err),
		})
	}
}

// ShowError shows an error page and logs its detail, which leaves the server in
// development only (invariant 10).
func (b *Browser) ShowError(w http.ResponseWriter, r *http.Request, v ErrorView) {
	if v.Correlation == "" {
		v.Correlation = NewCorrelation()
		b.failures.Log.LogAttrs(r.Context(), slog.LevelInfo, "request refused",
			slog.String("correlation", v.Correlation),
			slog.String("kind", string(v.Kind)),
			slog.String("path", r.URL.Path),
			slog.String("detail", v.Detail))
	}
	if !b.detail {
		v.Detail = ""
	}
	NoStore(w)
	b.pages.Error(w, r, v)
}

// SeeOther sends the browser to one of our own pages.
func SeeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	// 303, so that the response to a form is fetched with GET.
	w.WriteHeader(http.StatusSeeOther)
}
