// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"net/http"
	"strings"

	"calleridp/provider/endpoint"
	"calleridp/truecaller/phone"
)

// ReopenSignIn shows the sign-in page of a sealed request once more:
// endpoint.ErrBadRequest when the request is not that of a sign-in page. It
// changes nothing.
func (e *Endpoint) ReopenSignIn(w http.ResponseWriter, r *http.Request, page Reopening) error {
	q, c, err := e.form.submitted(r.Context(), page.Request)
	if err != nil {
		return err
	}
	v, err := e.form.view(r.Context(), q, c, page.Phone, page.Network)
	if err != nil {
		return err
	}
	if region := strings.ToUpper(page.Region); phone.IsRegion(region) {
		v.Region = region
	}
	if err := e.form.explain(&v, q, page.Network, page.Problem); err != nil {
		return err
	}
	if q.ClientID != endpoint.AccountClientID {
		if err := e.greetings.greet(r.Context(), &v, e.cookies.Devices(r)); err != nil {
			return err
		}
	}
	e.pages.SignIn(w, r, v)
	return nil
}

// ReopenConsent does the same for a consent prompt.
func (e *Endpoint) ReopenConsent(w http.ResponseWriter, r *http.Request, sealed string) error {
	q, c, s, err := e.openConsent(r, sealed, e.sessions.current)
	if err != nil {
		return err
	}
	v, err := e.consents.promptIn(r.Context(), q.Request, c, s, q.Ticket, q.Until)
	if hasEnded(err) {
		return endpoint.NewPageError(endpoint.ErrorRequestExpired, http.StatusBadRequest, "there is no session any more").In(q.Request.UILocales)
	}
	if err != nil {
		return err
	}
	e.pages.Consent(w, r, v)
	return nil
}
