// SPDX-License-Identifier: Apache-2.0

package page

import (
	"html/template"
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
type signedOutView struct {
	chrome

	Frames  []string     // addresses of clients
	Next    template.URL // provider/client validates it; "" for none
	Seconds int          // that the frames have to load before the page goes on; 0 without both
	Still   bool         // for a gallery
}

// frameSeconds is how long the page after signing out waits for clients. They hear of it
// within that or, most likely, not at all.
const frameSeconds = 5

// SignedOut implements provider.Pages.
func (p *Pages) SignedOut(w http.ResponseWriter, r *http.Request, v logout.SignedOutView) {
	view := &signedOutView{chrome: chromeOf(v.Client), Frames: v.Frames, Next: template.URL(v.Next)}
	pol := policy{frames: v.Frames}
	if v.Next == "" {
		pol.opener = sameOriginOpener
	} else if len(v.Frames) > 0 {
		view.Seconds = frameSeconds
		pol.script = p.assets.signedOut
	}
	if p.exhibit.Still {
		view.Frames, view.Still, pol.script, pol.frames = nil, true, "", nil
	}
	p.show(w, r, response{
		template: "signedout",
		language: p.choose(r, v.UILocales),
		status:   http.StatusOK,
		view:     view,
		policy:   pol,
		again:    again{never: len(v.Frames) > 0},
	})
}
