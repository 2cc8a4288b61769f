// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
)

// Flow is what the pages' handlers may do with a sign-in, and with any page whose
// form holds a sealed request.
type Flow struct {
	*authorize.Flow
	provider *Provider
}

// Flow returns the provider's Flow.
func (p *Provider) Flow() Flow { return Flow{Flow: p.flow, provider: p} }

// Reopen shows the page whose form holds a sealed request once more, or an error
// page. It changes nothing. The purpose for which a request was sealed tells which
// page it belongs to.
func (f Flow) Reopen(w http.ResponseWriter, r *http.Request, page authorize.Reopening) {
	p := f.provider
	err := p.authorize.ReopenSignIn(w, r, page)
	if errors.Is(err, endpoint.ErrBadRequest) {
		err = p.authorize.ReopenConsent(w, r, page.Request)
	}
	if errors.Is(err, endpoint.ErrBadRequest) {
		err = p.logout.Reopen(w, r, page.Request)
	}
	if errors.Is(err, endpoint.ErrBadRequest) {
		err = p.devices.Reopen(w, r, page.Request)
	}
	if err != nil {
		p.browser.Fail(w, r, err)
	}
}
