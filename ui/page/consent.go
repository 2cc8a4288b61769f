// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/claims"
)

// consentView is what the consent prompt shows.
type consentView struct {
	chrome

	Request string // sealed
	Number  string // masked
	Shares  []share
}

// Consent implements provider.Pages.
func (p *Pages) Consent(w http.ResponseWriter, r *http.Request, v authorize.ConsentView) {
	view := &consentView{
		chrome:  chromeOf(v.Client),
		Request: v.Request,
		Number:  shownNumber(v.Number),
		Shares:  shares(v.Scopes, v.Number),
	}
	p.show(w, r, response{
		template: "consent",
		language: p.choose(r, v.UILocales),
		status:   http.StatusOK,
		view:     view,
		// The decision leads to the client at once, as that of the sign-out page does.
		policy: policy{forms: "'self' " + anywhere(v.FormAction)},
		again:  withRequest(v.Request),
	})
}

// share is one line of what a client gets.
type share struct {
	Scope  string
	Icon   string // its name
	Number string // masked, for the line about it
}

func shares(scopes []string, number string) []share {
	var lines []share
	for _, scope := range scopes {
		icon := scope
		if scope == claims.Phone {
			icon = "phone"
		}
		lines = append(lines, share{Scope: scope, Icon: icon, Number: shownNumber(number)})
	}
	return lines
}
