package page

import (
	"html/template"
	"maps"
	"net/http"
	"slices"

	"calleridp/provider"
)

// consentView is what the consent prompt shows.
type consentView struct {
	chrome

	Request string // sealed
	Number  string // masked
	Shares  []share
}

// Consent implements provider.Pages.
func (p *Pages) Consent(w http.ResponseWriter, r *http.Request, v provider.ConsentView) {
	view := &consentView{
		chrome:  chromeOf(v.Client),
		Request: v.Request,
		Number:  v.Number,
		Shares:  shares(v.Scopes, v.Number),
	}
	p.show(w, r, response{
		template: "consent",
		language: p.choose(r, v.UILocales),
		status:   http.StatusOK,
		view:     view,
		// The decision leads to the client at once, as that of the sign-out page does.
		policy: policy{logo: view.Client.Logo, forms: "'self' " + anywhere(v.FormAction)},
		again:  withRequest(v.Request),
	})
}

// formPostView is what the page shows that posts a response to the client.
type formPostView struct {
	chrome

	Action template.URL
	Fields [][2]string
}

// FormPost implements provider.Pages.
func (p *Pages) FormPost(w http.ResponseWriter, r *http.Request, action string, fields [][2]string) {
	if action == "" || !IsWeb(action) {
		p.cfg.Log.ErrorContext(r.Context(), "a form can be posted to the web only", "correlation", correlation(w))
		p.internalError(w, r)
		return
	}
	view := &formPostView{Action: template.URL(action), Fields: fields}
	pol := policy{script: p.assets.script, forms: anywhere(action), referrer: "strict-origin"}
	if p.exhibit.Still {
		view.Action, pol = "#", policy{}
	}
	p.show(w, r, response{
		template: "formpost",
		language: p.choose(r, nil),
		status:   http.StatusOK,
		view:     view,
		policy:   pol,
		again:    again{never: true},
	})
}

// signOutView is what the sign-out prompt shows.
type signOutView struct {
	chrome

	Request string // sealed
}

// ConfirmSignOut implements provider.Pages.
func (p *Pages) ConfirmSignOut(w http.ResponseWriter, r *http.Request, v provider.SignOutView) {
	view := &signOutView{chrome: chromeOf(v.Client), Request: v.Request}
	pol := policy{logo: view.Client.Logo}
	if v.FormAction != "" {
		pol.forms = "'self' " + anywhere(v.FormAction)
	}
	p.show(w, r, response{
		template: "signout",
		language: p.choose(r, v.UILocales),
		status:   http.StatusOK,
		view:     view,
		policy:   pol,
		again:    withRequest(v.Request),
	})
}

// signedOutView is what the page after signing out shows.
type signedOutView struct{ chrome }

// SignedOut implements provider.Pages.
func (p *Pages) SignedOut(w http.ResponseWriter, r *http.Request, v provider.SignedOutView) {
	view := &signedOutView{chromeOf(v.Client)}
	p.show(w, r, response{
		template: "signedout",
		language: p.choose(r, v.UILocales),
		status:   http.StatusOK,
		view:     view,
		policy:   policy{logo: view.Client.Logo, opener: sameOriginOpener},
	})
}

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
