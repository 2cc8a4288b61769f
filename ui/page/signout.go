package page

import (
	"net/http"

	"calleridp/provider/logout"
)

// signOutView is what the sign-out prompt shows.
type signOutView struct {
	chrome

	Request string // sealed
}

// ConfirmSignOut implements provider.Pages.
func (p *Pages) ConfirmSignOut(w http.ResponseWriter, r *http.Request, v logout.SignOutView) {
	view := &signOutView{chrome: chromeOf(v.Client), Request: v.Request}
	pol := policy{}
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
func (p *Pages) SignedOut(w http.ResponseWriter, r *http.Request, v logout.SignedOutView) {
	view := &signedOutView{chromeOf(v.Client)}
	p.show(w, r, response{
		template: "signedout",
		language: p.choose(r, v.UILocales),
		status:   http.StatusOK,
		view:     view,
		policy:   policy{opener: sameOriginOpener},
	})
}
