// SPDX-License-Identifier: Apache-2.0

package page

import (
	"maps"
	"net/http"
	"slices"

	"calleridp/provider/endpoint"
)

// errorView is what an error page shows.
type errorView struct {
	chrome

	Error        string // endpoint.ErrorKind
	Correlation  string
	Detail       string
	Restart      string // https, where the user starts again; "" for none
	Retry        string // the page itself, where trying again may help; "" for none
	Badge, Look  string // see badge
	WrongBrowser bool
}

// statuses holds the statuses that ErrorKind promises.
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

// ErrorKinds returns the kinds of errors that have a page, sorted.
func ErrorKinds() []endpoint.ErrorKind { return slices.Sorted(maps.Keys(statuses)) }

// Status returns the status of an error page, and 0 for a kind that has none.
func Status(kind endpoint.ErrorKind) int { return statuses[kind] }

// Error implements provider.Pages. A kind without a text is shown as ErrorInternal,
// and a view without a status gets its kind's.
func (p *Pages) Error(w http.ResponseWriter, r *http.Request, v endpoint.ErrorView) {
	status, ok := statuses[v.Kind]
	if !ok {
		v.Kind, status = endpoint.ErrorInternal, http.StatusInternalServerError
	}
	if v.Status != 0 {
		status = v.Status
	}
	view := &errorView{Error: string(v.Kind), Correlation: v.Correlation, Restart: webURL(v.Restart)}
	view.Badge, view.Look = errorBadge(v.Kind)
	view.WrongBrowser = v.Kind == endpoint.ErrorNotYourBrowser
	if path := r.URL.RequestURI(); v.Kind == endpoint.ErrorInternal && r.Method == http.MethodGet && Repeatable(path) {
		view.Retry = path
	}
	pol := policy{opener: sameOriginOpener}
	if view.Restart != "" {
		view.chrome = chromeOf(v.Client)
	}
	if p.cfg.ShowDetail {
		view.Detail = v.Detail
	}
	var shownAgain again
	shownAgain.add("error", view.Error)
	shownAgain.add("correlation", view.Correlation)
	p.show(w, r, response{
		template: "error",
		language: p.choose(r, v.UILocales),
		status:   status,
		view:     view,
		policy:   pol,
		again:    shownAgain,
	})
}

// errorBadge returns the badge of a kind of errors.
func errorBadge(kind endpoint.ErrorKind) (name, look string) {
	switch kind {
	case endpoint.ErrorInternal:
		return "problem", "bad"
	case endpoint.ErrorNotYourBrowser:
		return "windows", "warn"
	case endpoint.ErrorRequestExpired:
		return "clock", "dashed"
	case endpoint.ErrorFinished:
		return "check", ""
	}
	return "problem", "warn"
}

// internalError shows an error whose cause is in the log only (invariant 10).
func (p *Pages) internalError(w http.ResponseWriter, r *http.Request) {
	p.Error(w, r, endpoint.ErrorView{Kind: endpoint.ErrorInternal, Correlation: correlation(w)})
}

// notFound shows that there is no such page.
func (p *Pages) notFound(w http.ResponseWriter, r *http.Request) {
	p.Error(w, r, endpoint.ErrorView{Kind: endpoint.ErrorNotFound, Correlation: correlation(w)})
}
