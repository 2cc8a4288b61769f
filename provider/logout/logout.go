// SPDX-License-Identifier: Apache-2.0

// Package logout is the end_session_endpoint (OpenID Connect RP-Initiated Logout
// 1.0), with the prompt before it and the page after it, in which clients hear of it
// (frontchannel.go).
package logout

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/idtoken"
	"calleridp/provider/session"

	"github.com/go-chi/chi/v5"
)

// Pages draws the pages of signing out. Package ui implements it. Each method
// writes the whole response, status included.
type Pages interface {
	// ConfirmSignOut asks whether to sign out (§2).
	ConfirmSignOut(w http.ResponseWriter, r *http.Request, v SignOutView)
	// SignedOut is the page after signing out.
	SignedOut(w http.ResponseWriter, r *http.Request, v SignedOutView)
}

// SignOutView is what the sign-out prompt shows. Request is the sealed logout
// request, for the form.
type SignOutView struct {
	Client    endpoint.ClientView // zero when the request names none
	Request   string
	UILocales []string
	// FormAction is the origin of the post_logout_redirect_uri, "" for none.
	FormAction string
}

// SignedOutView is what the page after signing out shows.
type SignedOutView struct {
	Client    endpoint.ClientView
	UILocales []string
	// Frames are addresses of clients, which the page loads out of sight.
	Frames []string
	// Next is where the page goes on to once they are loaded or have had their time, "" to
	// stay: a registered address, or a page of our own.
	Next string
}

// Clients knows the relying parties. *client.Registry is one.
type Clients interface {
	// Client returns the client with this id, or client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
}

// Hints reads ID tokens that clients send back. *idtoken.Issuer does it.
type Hints interface {
	ReadHint(compact string) (idtoken.Hint, error)
	// Subject returns the user's sub as the client knows it.
	Subject(c client.Client, sub string) string
	// SID returns a session's ID as the client knows it.
	SID(c client.Client, sessionID string) string
	// SessionID returns the ID of the session that the client knows by this sid, ""
	// for none.
	SessionID(c client.Client, sid string) string
}

// Config is what the endpoint needs. Everything is required.
type Config struct {
	Issuer   string
	Browser  *endpoint.Browser
	Pages    Pages
	Cookies  endpoint.Cookies
	Master   *keys.Master
	Clients  Clients
	Hints    Hints
	Sessions session.Store
	Lifetime time.Duration // of the prompt, from opening to sending
	Log      *slog.Logger
	Audit    audit.Recorder
}

// Endpoint is the end_session_endpoint.
type Endpoint struct{ cfg Config }

// New returns an Endpoint.
func New(cfg Config) *Endpoint { return &Endpoint{cfg: cfg} }

// Mount registers the endpoint's paths.
func (e *Endpoint) Mount(r chi.Router) {
	b := e.cfg.Browser
	r.HandleFunc(endpoint.PathEndSession, b.Page(e.endSession, http.MethodGet, http.MethodHead, http.MethodPost))
	r.HandleFunc(endpoint.PathSignOutConfirm, b.Page(b.OwnForm(e.confirm), http.MethodPost))
	r.HandleFunc(endpoint.PathSignedOut, b.Page(e.signedOut, http.MethodGet, http.MethodHead))
}

// Metadata implements endpoint.Describer.
func (e *Endpoint) Metadata() endpoint.Metadata {
	return endpoint.Metadata{
		{Name: "end_session_endpoint", Value: e.cfg.Issuer + endpoint.PathEndSession},
		{Name: "frontchannel_logout_supported", Value: true},
		{Name: "frontchannel_logout_session_supported", Value: true},
	}
}

// request is a validated logout request (§2). It travels sealed in the form of
// the prompt.
type request struct {
	ClientID  string   `json:"c,omitempty"` // "" when the request names none that can be trusted
	URI       string   `json:"u,omitempty"` // registered post_logout_redirect_uri
	State     string   `json:"s,omitempty"`
	UILocales []string `json:"l,omitempty"`
	Until     int64    `json:"e"` // seconds since 1970
}

// Expiry implements endpoint.Box.
func (q *request) Expiry() int64 { return q.Until }

// endSession handles a logout request. The browser's cookie names the session. A
// valid id_token_hint of the session's own user skips the prompt; without one the
// user is asked, because any site can make a browser come here.
func (e *Endpoint) endSession(w http.ResponseWriter, r *http.Request) error {
	in, err := endpoint.Read(r)
	if err != nil {
		return err
	}
	if in.AnyRepeated() != "" {
		return endpoint.ErrRepeated
	}
	q, c, hint, err := e.validate(r.Context(), in)
	if err != nil {
		return err
	}
	sid, here, prompt, err := e.sessionToEnd(r, c, hint)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if prompt {
		return e.prompt(w, r, c, q)
	}
	return e.end(w, r, sid, here, q, c)
}

// validate finds out which client sends the request. A hint that was not issued
// here, or whose key is long retired, is refused, and what else is in the request
// with it (§4); an expired one is not (§2). logout_hint says nothing that can be
// trusted, and changes nothing. An error is an *endpoint.PageError or an internal one.
func (e *Endpoint) validate(ctx context.Context, in endpoint.Parameters) (*request, client.Client, *idtoken.Hint, error) {
	state, err := in.State()
	if err != nil {
		return nil, client.Client{}, nil, err
	}
	q := &request{State: state, UILocales: in.UILocales()}
	refuse := func(kind endpoint.ErrorKind, detail string, args ...any) error {
		return endpoint.NewPageError(kind, http.StatusBadRequest, detail, args...).In(q.UILocales)
	}
	var hint *idtoken.Hint
	id := in.Get("client_id")
	if text := in.Get("id_token_hint"); text != "" {
		found, err := e.cfg.Hints.ReadHint(text)
		if errors.Is(err, idtoken.ErrEncryptedHint) { // the client's mistake, which a prompt would hide
			return q, client.Client{}, nil, refuse(endpoint.ErrorBadRequest,
				"id_token_hint is encrypted; send the signed ID token inside (OpenID Connect Core section 3.1.2.1)")
		}
		if err != nil {
			return q, client.Client{}, nil, refuse(endpoint.ErrorBadRequest, "id_token_hint is not an ID token that was issued here, or its key is long retired")
		}
		if id != "" && id != found.Audience {
			return q, client.Client{}, nil, refuse(endpoint.ErrorBadRequest, "client_id is not the audience of id_token_hint")
		}
		hint, id = &found, found.Audience
	}
	if id == "" {
		return q, client.Client{}, nil, nil
	}
	c, err := e.cfg.Clients.Client(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		return q, c, nil, refuse(endpoint.ErrorUnknownClient, "no client is registered with client_id %q", endpoint.Clip(id))
	}
	if err != nil {
		return q, c, nil, err
	}
	uri := in.Get("post_logout_redirect_uri")
	if uri != "" && in.Garbled("state") {
		return q, c, nil, refuse(endpoint.ErrorBadRequest, "%s", endpoint.GarbledState)
	}
	if uri != "" && !c.PostLogoutAllowed(uri) {
		return q, c, nil, refuse(endpoint.ErrorRedirectURI, "post_logout_redirect_uri %q is not registered for %s", endpoint.Clip(uri), c.ID)
	}
	q.ClientID, q.URI = c.ID, uri
	if !endpoint.Fits(q) {
		return q, c, nil, endpoint.NewPageError(endpoint.ErrorTooLarge, http.StatusRequestEntityTooLarge,
			"the request is too large: as JSON it is longer than %d bytes", endpoint.MaxRequest).In(q.UILocales)
	}
	return q, c, hint, nil
}

// sessionToEnd returns the session that ends, "" for none, whether it is that of the
// browser's cookie, and whether the user is asked before.
func (e *Endpoint) sessionToEnd(r *http.Request, c client.Client, hint *idtoken.Hint) (sid string, here, prompt bool, err error) {
	s, here, err := e.unexpired(r)
	if err != nil || hint == nil {
		return "", here, true, err
	}
	hinted := e.cfg.Hints.SessionID(c, hint.SID)
	if here {
		return s.ID, true, hinted != s.ID && hint.Subject != e.cfg.Hints.Subject(c, s.Sub), nil
	}
	// Without a cookie: a broker's own request, not the browser's, or a form of
	// another site. The hint counts only while the very session lives that it
	// names, so it cannot be replayed after that.
	if hinted != "" {
		s, err = e.cfg.Sessions.Session(r.Context(), hinted)
		if err == nil && !s.Expired(time.Now()) && hint.Subject == e.cfg.Hints.Subject(c, s.Sub) {
			return s.ID, false, false, nil
		}
		if err != nil && !errors.Is(err, session.ErrNotFound) {
			return "", false, false, err
		}
	}
	// No session is left to end. But the browser may have withheld its cookie from
	// a form of another site, and then there is one.
	return "", false, r.Method == http.MethodPost, nil
}

// unexpired returns the session that the browser's cookie names.
func (e *Endpoint) unexpired(r *http.Request) (session.Session, bool, error) {
	return session.Unexpired(r.Context(), e.cfg.Sessions, e.cfg.Cookies.Session(r))
}

// prompt asks the user.
func (e *Endpoint) prompt(w http.ResponseWriter, r *http.Request, c client.Client, q *request) error {
	if q.Until == 0 { // one that is shown again keeps its expiry
		q.Until = time.Now().Add(e.cfg.Lifetime).Unix()
	}
	sealed, err := endpoint.Seal(e.cfg.Master, keys.PurposeLogoutRequest, q)
	if err != nil {
		return err
	}
	v := SignOutView{Request: sealed, UILocales: q.UILocales, FormAction: endpoint.FormAction(q.URI)}
	if c.ID != "" {
		v.Client = e.cfg.Browser.ViewFor(c, "")
	}
	e.cfg.Pages.ConfirmSignOut(w, r, v)
	return nil
}

// open opens the sealed request of the prompt's form.
func (e *Endpoint) open(sealed string) (*request, error) {
	q := new(request)
	err := endpoint.Open(e.cfg.Master, keys.PurposeLogoutRequest, sealed, q, time.Now())
	if errors.Is(err, endpoint.ErrRequestExpired) {
		return nil, endpoint.NewPageError(endpoint.ErrorRequestExpired, http.StatusBadRequest, "%v", err).In(q.UILocales)
	}
	if err != nil {
		return nil, err
	}
	return q, nil
}

// confirm signs out when the user has confirmed.
func (e *Endpoint) confirm(w http.ResponseWriter, r *http.Request, in endpoint.Parameters) error {
	q, err := e.open(in.Get("request"))
	if err != nil {
		return err
	}
	s, here, err := e.unexpired(r)
	if err != nil {
		return err
	}
	var c client.Client
	if q.ClientID != "" {
		c, err = e.cfg.Clients.Client(r.Context(), q.ClientID)
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return err
		}
		// It may have been removed since, or have lost the address (§3).
		if q.URI != "" && !c.PostLogoutAllowed(q.URI) {
			q.URI = ""
		}
	}
	return e.end(w, r, s.ID, here, q, c)
}

// end ends the session, if there is one, and sends the browser back to the client
// or to the page that says so. Only the browser of the session learns which other clients
// took part in it: another holder of the hint, such as a client's server, does not.
func (e *Endpoint) end(w http.ResponseWriter, r *http.Request, sid string, here bool, q *request, c client.Client) error {
	var ended session.Session
	if sid != "" {
		var err error
		if ended, err = e.cfg.Sessions.EndSession(r.Context(), sid); err != nil {
			return err
		}
		e.cfg.Audit.Record(r.Context(), audit.Event{Name: audit.SessionEnded, Session: sid, Client: q.ClientID})
	}
	if !here {
		ended = session.Session{}
	}
	e.leave(w, r, ended, q, c, q.destination())
	return nil
}

// destination returns the registered address to which the browser goes back, "" for none.
func (q *request) destination() string {
	if q.URI != "" && q.State != "" {
		return endpoint.WithParameters(q.URI, endpoint.Parameter{Name: "state", Value: q.State})
	}
	return q.URI
}

// signedOut returns the page after signing out, for a browser that goes nowhere else.
func (q *request) signedOut() string {
	var params []endpoint.Parameter
	if q.ClientID != "" {
		params = append(params, endpoint.Parameter{Name: "client_id", Value: q.ClientID})
	}
	if len(q.UILocales) > 0 {
		params = append(params, endpoint.Parameter{Name: "ui_locales", Value: strings.Join(q.UILocales, " ")})
	}
	return endpoint.WithParameters(endpoint.PathSignedOut, params...)
}

// signedOut is the page after signing out. client_id only chooses whose name and
// home it shows.
func (e *Endpoint) signedOut(w http.ResponseWriter, r *http.Request) error {
	v := SignedOutView{}
	if in, err := endpoint.Query(r); err == nil {
		v.UILocales = in.UILocales()
		c, err := e.cfg.Clients.Client(r.Context(), in.Get("client_id"))
		if err == nil {
			v.Client = e.cfg.Browser.ViewFor(c, "")
		} else if !errors.Is(err, client.ErrNotFound) {
			return err
		}
	}
	e.cfg.Pages.SignedOut(w, r, v)
	return nil
}

// Reopen shows the prompt of a sealed logout request once more:
// endpoint.ErrBadRequest when it is not one. It changes nothing.
func (e *Endpoint) Reopen(w http.ResponseWriter, r *http.Request, sealed string) error {
	q, err := e.open(sealed)
	if err != nil {
		return err
	}
	var c client.Client
	if q.ClientID != "" {
		c, err = e.cfg.Clients.Client(r.Context(), q.ClientID)
		if errors.Is(err, client.ErrNotFound) {
			return endpoint.ErrBadRequest
		}
		if err != nil {
			return err
		}
	}
	return e.prompt(w, r, c, q)
}
