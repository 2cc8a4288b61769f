package page

import (
	"maps"
	"net/http"
	"slices"

	"calleridp/provider"
)

// errorView is what an error page shows.
type errorView struct {
	chrome

	Error       string // provider.ErrorKind
	Correlation string
	Detail      string
}

// statuses holds the statuses that ErrorKind promises.
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

// ErrorKinds returns the kinds of errors that have a page, sorted.
func ErrorKinds() []provider.ErrorKind { return slices.Sorted(maps.Keys(statuses)) }

// Status returns the status of an error page, and 0 for a kind that has none.
func Status(kind provider.ErrorKind) int { return statuses[kind] }

// Error implements provider.Pages. A kind without a text is shown as ErrorInternal,
// and a view without a status gets its kind's.
func (p *Pages) Error(w http.ResponseWriter, r *http.Request, v provider.ErrorView) {
	status, ok := statuses[v.Kind]
	if !ok {
		v.Kind, status = provider.ErrorInternal, http.StatusInternalServerError
	}
	if v.Status != 0 {
		status = v.Status
	}
	view := &errorView{Error: string(v.Kind), Correlation: v.Correlation}
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
		policy:   policy{opener: sameOriginOpener},
		again:    shownAgain,
	})
}

// internalError shows an error whose cause is in the log only (invariant 10).
func (p *Pages) internalError(w http.ResponseWriter, r *http.Request) {
	p.Error(w, r, provider.ErrorView{Kind: provider.ErrorInternal, Correlation: correlation(w)})
}

// notFound shows that there is no such page.
func (p *Pages) notFound(w http.ResponseWriter, r *http.Request) {
	p.Error(w, r, provider.ErrorView{Kind: provider.ErrorNotFound, Correlation: correlation(w)})
}
