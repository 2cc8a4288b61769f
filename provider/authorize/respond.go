// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"errors"
	"net/http"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Response is an authorization response on its way to the client: by redirect, in the
// query or in the fragment, or by form post.
type Response struct {
	RedirectURI string
	Params      []endpoint.Parameter
	Fragment    bool
	FormPost    bool
}

// FormPoster draws the page of the form_post response mode (OAuth 2.0 Form Post
// Response Mode §2).
type FormPoster interface {
	FormPost(w http.ResponseWriter, r *http.Request, action string, fields []endpoint.Parameter)
}

// Write sends the response.
func (resp Response) Write(w http.ResponseWriter, r *http.Request, pages FormPoster) {
	if resp.FormPost {
		endpoint.NoStore(w)
		w.Header().Set("Referrer-Policy", "no-referrer")
		pages.FormPost(w, r, resp.RedirectURI, resp.Params)
		return
	}
	endpoint.Redirect(w, resp.URL())
}

// URL returns the redirect's address.
func (resp Response) URL() string {
	if resp.Fragment {
		return endpoint.WithFragment(resp.RedirectURI, resp.Params...)
	}
	return endpoint.WithParameters(resp.RedirectURI, resp.Params...)
}

// responses makes authorization responses.
type responses struct{ issuer string }

// signedIn ends a sign-in to the account page, or for a device, at its own page.
func (responses) signedIn(q *request) Response { return Response{RedirectURI: q.RedirectURI} }

// refusal is the error response (RFC 6749 §4.1.2.1, §4.2.2.1, OpenID Connect Core
// §3.1.2.6, §3.2.2.6). Its description is for the client's developer.
func (rs responses) refusal(q *request, e *oidc.Error) Response {
	if q.forAccount() {
		return Response{RedirectURI: endpoint.PathAccount}
	}
	if q.forDevice() {
		return Response{RedirectURI: endpoint.PathDevice} // the device waits still
	}
	return rs.to(q, errorParameters(e)...)
}

func errorParameters(e *oidc.Error) []endpoint.Parameter {
	return []endpoint.Parameter{
		{Name: "error", Value: string(e.ErrorType)},
		{Name: "error_description", Value: e.Description},
	}
}

// refusalIn is a refusal to a browser in this state, which its client's page may go on to
// watch (OpenID Connect Session Management 1.0 §3.1).
func (rs responses) refusalIn(q *request, state session.BrowserState, e *oidc.Error) Response {
	return rs.to(q, withState(q, state, "", errorParameters(e))...)
}

// withState adds session_state, by which the client's page asks the page of package
// checksession whether anything has changed since (OpenID Connect Session Management 1.0
// §2). A redirect URI without a web origin has no such page.
func withState(q *request, state session.BrowserState, code redact.Text, params []endpoint.Parameter) []endpoint.Parameter {
	origin := client.OriginOf(q.RedirectURI)
	if origin == "" {
		return params
	}
	return append(params, endpoint.Parameter{Name: "session_state", Value: state.ForClient(q.ClientID, origin, code)})
}

// to adds what every response carries: state as it came, and iss, on success and
// on error (RFC 9207 §2).
func (rs responses) to(q *request, params ...endpoint.Parameter) Response {
	if q.State != "" {
		params = append(params, endpoint.Parameter{Name: "state", Value: q.State})
	}
	params = append(params, endpoint.Parameter{Name: "iss", Value: rs.issuer})
	return Response{
		RedirectURI: q.RedirectURI,
		Params:      params,
		Fragment:    q.Mode == modeFragment,
		FormPost:    q.Mode == modeFormPost,
	}
}

// respondNow makes what the request earns in the session and sends it: one commit, no
// push.
func (e *Endpoint) respondNow(w http.ResponseWriter, r *http.Request, q *request, c client.Client, s session.Session) error {
	t := newTicket(q)
	idToken, err := e.front.idToken(r.Context(), q, c, s, t.first())
	if err != nil {
		return e.refuse(w, r, q, err)
	}
	err = e.codes.create(r.Context(), q, c, s, t)
	if errors.Is(err, grant.ErrExists) && q.forDevice() { // a double click, or another request
		_, err = e.codes.of(r.Context(), q, s, t)
	}
	if errors.Is(err, login.ErrState) {
		return answered(q)
	}
	if err != nil {
		return err
	}
	if state := e.states.Of(s.ID); e.cookies.State(r) != state { // it was lost, or is older than the cookie
		e.cookies.SetState(w, state, s.Expires)
	}
	e.succeed(r.Context(), q, c, s, t.first(), idToken).Write(w, r, e.pages)
	return nil
}
