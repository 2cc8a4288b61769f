// SPDX-License-Identifier: Apache-2.0

package page

import (
	"html/template"
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
)

// formPostView is what the page shows that posts a response to the client.
type formPostView struct {
	chrome

	Action template.URL
	Fields [][2]string
}

// FormPost implements provider.Pages.
func (p *Pages) FormPost(w http.ResponseWriter, r *http.Request, action string, fields []endpoint.Parameter) {
	if action == "" || !IsWeb(action) {
		p.cfg.Log.ErrorContext(r.Context(), "a form can be posted to the web only", "correlation", correlation(w))
		p.internalError(w, r)
		return
	}
	view := &formPostView{Action: template.URL(action), Fields: pairs(fields)}
	// The client's own page may have it in a frame, as it has a redirect: prompt=none. What
	// the user could be led to press there, the page does by itself.
	pol := policy{script: p.assets.script, forms: anywhere(action), referrer: "strict-origin", framedBy: client.OriginOf(action)}
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

// SendAgain implements provider.Pages. It looks like FormPost: to the user, both
// are a moment on the way.
func (p *Pages) SendAgain(w http.ResponseWriter, r *http.Request, v authorize.SendAgainView) {
	view := &formPostView{Action: template.URL(v.Action), Fields: pairs(v.Fields)}
	pol := policy{script: p.assets.script, forms: "'self'"}
	if v.FormAction != "" {
		pol.forms += " " + anywhere(v.FormAction)
	}
	if p.exhibit.Still {
		view.Action, pol = "#", policy{}
	}
	p.show(w, r, response{
		template: "formpost",
		language: p.choose(r, v.UILocales),
		status:   http.StatusOK,
		view:     view,
		policy:   pol,
		again:    again{never: true},
	})
}

// pairs returns the fields as operators' templates know them.
func pairs(fields []endpoint.Parameter) [][2]string {
	all := make([][2]string, len(fields))
	for i, field := range fields {
		all[i] = [2]string{field.Name, field.Value}
	}
	return all
}
