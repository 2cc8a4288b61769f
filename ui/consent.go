package ui

import (
	"net/http"

	"calleridp/provider/authorize"
)

// share is one line of what a client asks for.
type share struct {
	Scope  string
	Number string // masked, for the line about it
}

// Consent implements provider.Pages.
func (u *UI) Consent(w http.ResponseWriter, r *http.Request, v authorize.ConsentView) {
	p := page{Client: showClient(v.Client), Request: v.Request, Number: v.Number}
	p.Shares = shares(v.Scopes, v.Number)
	// The answer leads to the client at once, as an answer about signing out does.
	pol := policy{logo: p.Client.Logo, forms: "'self' " + anywhere(v.FormAction)}
	u.show(w, r, u.in(r, v.UILocales), "consent", http.StatusOK, p, pol)
}

// shares are the lines of these scopes.
func shares(scopes []string, number string) []share {
	var lines []share
	for _, scope := range scopes {
		lines = append(lines, share{Scope: scope, Number: number})
	}
	return lines
}
