package provider

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

// Handler serves the protocol's paths (see routes.go). It is mounted at the
// root.
func (p *Provider) Handler() http.Handler {
	r := chi.NewRouter()
	p.Mount(r)
	return r
}

// Mount registers the protocol's paths at a router that has others too.
func (p *Provider) Mount(r chi.Router) {
	for _, path := range []string{PathDiscovery, PathOAuthDiscovery} {
		r.HandleFunc(path, p.serveDiscovery)
	}
	r.HandleFunc(PathJWKS, p.serveJWKS)

	r.HandleFunc(PathAuthorize, p.pages(p.authorize, http.MethodGet, http.MethodHead, http.MethodPost))
	r.HandleFunc(PathConsent, p.pages(p.answerConsent, http.MethodPost))
	p.mountAccount(r)
	r.HandleFunc(PathEndSession, p.pages(p.endSession, http.MethodGet, http.MethodHead, http.MethodPost))
	r.HandleFunc(PathSignOutConfirm, p.pages(p.confirmSignOut, http.MethodPost))
	r.HandleFunc(PathSignedOut, p.pages(p.signedOut, http.MethodGet, http.MethodHead))

	direct := p.libraryHandler()
	for path, e := range p.directEndpoints() {
		next := direct
		if path == PathToken {
			next = p.tokenEndpoint(direct)
		}
		r.Handle(path, p.guard(e, next))
	}
}

// mountAccount registers the account page.
func (p *Provider) mountAccount(r chi.Router) {
	look := []string{http.MethodGet, http.MethodHead}
	r.HandleFunc(PathAccount, p.pages(p.account, look...))
	r.HandleFunc(PathAccountDeleted, p.pages(p.accountDeleted, look...))
	r.HandleFunc(PathAccountRevoke, p.pages(p.accountForm(p.revokeAccess), http.MethodPost))
	r.HandleFunc(PathAccountSignOut, p.pages(p.accountForm(p.signOutSession), http.MethodPost))
	r.HandleFunc(PathAccountEverywhere, p.pages(p.accountForm(p.signOutEverywhere), http.MethodPost))
	for path, ask := range map[string]struct {
		step AccountStep
		do   accountAction
	}{
		PathAccountDownload: {StepDownload, p.downloadAccount},
		PathAccountDelete:   {StepDelete, p.deleteAccount},
	} {
		question, answer := p.accountStep(ask.step), p.accountForm(p.recent(path, ask.do))
		r.HandleFunc(path, p.pages(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				answer(w, r)
				return
			}
			question(w, r)
		}, append(look, http.MethodPost)...))
	}
}

// pages is what the endpoints that browsers visit have in common.
func (p *Provider) pages(h http.HandlerFunc, methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, m := range methods {
			if r.Method == m {
				noStore(w)
				w.Header().Set("Referrer-Policy", "no-referrer")
				h(w, r)
				return
			}
		}
		for _, m := range methods {
			w.Header().Add("Allow", m)
		}
		p.errorPage(w, r, ErrorView{Kind: ErrorMethodNotAllowed, Status: http.StatusMethodNotAllowed})
	}
}
