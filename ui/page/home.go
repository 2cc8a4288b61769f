// SPDX-License-Identifier: Apache-2.0

package page

import (
	"io"
	"net/http"
)

// homeView is what the page at the root shows.
type homeView struct{ chrome }

// Home is the page at the root of a deployment. It says what this is to those who
// follow the address from their browser's history or from a phone's dialog.
func (p *Pages) Home(w http.ResponseWriter, r *http.Request) {
	p.show(w, r, response{
		template: "home",
		language: p.choose(r, nil),
		status:   http.StatusOK,
		view:     &homeView{chrome{Client: clientView{own: true}}},
		policy:   policy{opener: sameOriginOpener},
	})
}

// Robots keeps crawlers away (RFC 9309). No page here is of use to a search.
func Robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	io.WriteString(w, "User-agent: *\nDisallow: /\n")
}
