// SPDX-License-Identifier: Apache-2.0

// Package authorize is the authorization endpoint (OpenID Connect Core §3.1.2),
// and what the pages may do with the sign-in that it begins.
//
// The endpoint is a pipeline, in this file from top to bottom:
//
//	read      the parameters                          endpoint
//	resolve   the client and its redirect URI         resolve.go
//	present   its request object, if it has one       present.go, requestobject.go, requesturi.go
//	validate  everything else, into a Request         validate.go, responsetype.go
//	decide    session, consent, sign-in page, refusal decide.go
//	respond   to the client or with a page            respond.go, codes.go, front.go
//
// Where a sign-in page is shown, the Request travels sealed in its form
// (request.go, signinpage.go), and the pages go on through Flow:
//
//	submit.go    a number starts an attempt     onetap.go     so does a one-tap link
//	challenge.go what a browser solves first    attempt.go    the waiting page
//	continue.go  an approved attempt is used    reopen.go     a page in another language
//
// The consent prompt (consent.go) stands between a session and its code, so it
// shares the request, the code and the response with them.
//
// How the phone is asked is package login's concern; what a user sees, Pages'.
package authorize

import (
	"context"
	"errors"
	"net/http"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/session"

	"github.com/go-chi/chi/v5"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Endpoint is the authorization endpoint with its consent prompt.
type Endpoint struct {
	*room
}

// Mount registers the endpoint's paths.
func (e *Endpoint) Mount(r chi.Router) {
	r.HandleFunc(endpoint.PathAuthorize, e.browser.Page(e.authorize, http.MethodGet, http.MethodHead, http.MethodPost))
	r.HandleFunc(endpoint.PathConsent, e.browser.Page(e.browser.OwnForm(e.decideConsent), http.MethodPost))
}

// authorize handles an authorization request. Without a session it stores nothing
// and sets no cookie (invariant 1).
func (e *Endpoint) authorize(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()

	in, err := endpoint.Read(r)
	if err != nil {
		return err
	}

	// Until client and redirect URI are known, errors are shown on a page (RFC
	// 6749 §4.1.2.1); from then on the client gets them.
	c, err := e.clients.find(ctx, in)
	if err != nil {
		return err
	}
	p, err := e.objects.present(ctx, in, c, e.addr.Network(r))
	if err != nil {
		return err
	}
	uri, err := p.redirectURI(c)
	if err != nil {
		return err
	}
	q, err := e.validate(p, c, uri)
	if err != nil {
		return e.refuse(w, r, q, err)
	}
	if e.withoutCookies(r) {
		e.pages.SendAgain(w, r, SendAgainView{
			Action:     endpoint.PathAuthorize,
			Fields:     in.All(),
			UILocales:  q.UILocales,
			FormAction: endpoint.FormAction(q.RedirectURI),
		})
		return nil
	}

	begun := time.Now()
	d, err := e.decide(ctx, q, c, e.cookies.Session(r))
	e.steps.Ended(ctx, endpoint.StepDecide, begun, err)
	if err != nil {
		return e.refuseInState(w, r, q, d, err)
	}
	if r.Method == http.MethodHead && d.outcome != showSignIn {
		// A HEAD request has no effect: a code is made for a browser that takes it. What
		// is refused above is refused to HEAD as well (RFC 9110 §9.3.2).
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return e.proceed(w, r, q, c, d)
}

// proceed gives a valid request what was decided.
func (e *Endpoint) proceed(w http.ResponseWriter, r *http.Request, q *request, c client.Client, d decision) (err error) {
	switch d.outcome {
	case issueCode:
		err = e.respondNow(w, r, q, c, d.session)
	case askConsent:
		err = e.showConsent(w, r, q, c, d.session)
	default:
		e.keptState(w, r, d)
		return e.showSignIn(w, r, q, c)
	}
	switch {
	case !hasEnded(err):
		return err
	case q.Prompt.None:
		d.ended = true
		return e.refuseInState(w, r, q, d, notSignedIn())
	}
	if err := e.clients.checkACR(q, c); err != nil {
		return e.refuse(w, r, q, err)
	}
	return e.showSignIn(w, r, q, c)
}

// refuse sends an OAuth error to the client and returns any other error.
func (e *Endpoint) refuse(w http.ResponseWriter, r *http.Request, q *request, err error) error {
	refusal, ok := errors.AsType[*oidc.Error](err)
	if !ok {
		return err
	}
	e.responses.refusal(q, refusal).Write(w, r, e.pages)
	return nil
}

// refuseInState is refuse, for a request that was decided by who is signed in.
func (e *Endpoint) refuseInState(w http.ResponseWriter, r *http.Request, q *request, d decision, err error) error {
	refusal, ok := errors.AsType[*oidc.Error](err)
	if !ok {
		return err
	}
	e.responses.refusalIn(q, e.keptState(w, r, d), refusal).Write(w, r, e.pages)
	return nil
}

// keptState returns the state that the browser keeps: the one that it has sent, or none if
// the session beside it has ended elsewhere. A frame within a page of another site has the
// state's cookie alone, and knows nothing of the session.
func (e *Endpoint) keptState(w http.ResponseWriter, r *http.Request, d decision) session.BrowserState {
	state := e.cookies.State(r)
	if d.ended && state != "" {
		e.cookies.ClearState(w)
		return ""
	}
	return state
}

// showSignIn shows the sign-in page for a request.
func (e *Endpoint) showSignIn(w http.ResponseWriter, r *http.Request, q *request, c client.Client) error {
	v, err := e.form.view(r.Context(), q, c, e.form.prefill(q, c), e.addr.Network(r))
	if err != nil {
		return err
	}
	if err := e.greetings.greet(r.Context(), &v, e.cookies.Devices(r)); err != nil {
		return err
	}
	e.pages.SignIn(w, r, v)
	return nil
}

// SignInToAccount shows the sign-in page for one of the account pages: then is its
// path, sub the user who must sign in again, "" for any. Their number is not
// filled in: the account page shows it masked, and another person who finds the browser
// signed in must neither learn it nor push to that phone with one press.
func (e *Endpoint) SignInToAccount(w http.ResponseWriter, r *http.Request, then, sub string) error {
	q := &request{ClientID: endpoint.AccountClientID, RedirectURI: then, HintSub: sub}
	c, err := e.clients.again(r.Context(), q)
	if err != nil {
		return err
	}
	v, err := e.form.view(r.Context(), q, c, "", e.addr.Network(r))
	if err != nil {
		return err
	}
	e.pages.SignIn(w, r, v)
	return nil
}

// withoutCookies reports whether the request is a form of another site, from which
// browsers withhold SameSite=Lax cookies. A page of ours sends it again, and then
// they come. A redirect to the same request as GET would bring them too, and put
// what the client has posted into a URL: the number of a login_hint, and that in
// the claims of an id_token_hint (invariant 10). A frame has no such cookies at
// all, and shows no page of ours.
func (e *Endpoint) withoutCookies(r *http.Request) bool {
	frame := r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodPost && r.Header.Get("Sec-Fetch-Site") == "cross-site" &&
		(frame == "" || frame == "document") && e.cookies.Session(r) == ""
}

// Metadata implements endpoint.Describer.
func (e *Endpoint) Metadata() endpoint.Metadata {
	algorithms := e.objects.here.SupportedRequestObjectAlgorithms()
	metadata := endpoint.Metadata{
		{Name: "authorization_endpoint", Value: e.responses.issuer + endpoint.PathAuthorize},
		{Name: "response_types_supported", Value: supportedTypes(e.clients.here)},
		{Name: "response_modes_supported", Value: modes},
		{Name: "acr_values_supported", Value: supportedACRs(e.clients.apps)},
		// The pages fit the window that they are in; wap phones have no Truecaller.
		{Name: "display_values_supported", Value: []string{"page", "popup", "touch"}},
		{Name: "prompt_values_supported", Value: []string{"none", "login", "consent", "select_account"}},
		{Name: "code_challenge_methods_supported", Value: []string{"S256"}},
		{Name: "claims_parameter_supported", Value: true},
		{Name: "request_parameter_supported", Value: len(algorithms) > 0},
		{Name: "request_uri_parameter_supported", Value: len(algorithms) > 0},
		{Name: "authorization_response_iss_parameter_supported", Value: true},
	}
	if len(algorithms) > 0 {
		metadata = append(metadata,
			endpoint.MetadataField{Name: "require_request_uri_registration", Value: true},
			endpoint.MetadataField{Name: "request_object_signing_alg_values_supported", Value: algorithms})
	}
	return metadata
}

// room is what Endpoint and Flow are built from. Each part knows one thing.
type room struct {
	browser *endpoint.Browser
	pages   Pages
	cookies endpoint.Cookies
	addr    endpoint.ClientAddr

	clients   clients
	views     views
	objects   objects
	hints     hints
	sessions  sessions
	states    session.States
	steps     endpoint.Steps
	responses responses
	front     front
	codes     codes
	consents  consents
	greetings greetings
	form      signInForm
}

// Clients knows the relying parties. *client.Registry is one.
type Clients interface {
	// Client returns the client with this id, or client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
	// MarkUsed remembers that a client that registered itself was used.
	MarkUsed(ctx context.Context, c client.Client) error
}
