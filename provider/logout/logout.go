// Package logout is the end_session_endpoint (OpenID Connect RP-Initiated Logout
// 1.0), with the prompt before it and the page after it.
package logout

import (
	"context"
	"errors"
	"net/http"
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
	return endpoint.Metadata{{Name: "end_session_endpoint", Value: e.cfg.Issuer + endpoint.PathEndSession}}
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
	sid, prompt, err := e.sessionToEnd(r, c, hint)
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
	return e.end(w, r, sid, q)
}

// validate finds out which client sends the request. A hint that was not issued
// here, or whose key is long retired, counts as none: then the user is asked, and
// the browser goes nowhere that is not known to be right (§4). An error is an
// *endpoint.PageError or an internal one.
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
		if err == nil {
			if id != "" && id != found.Audience {
				return q, client.Client{}, nil, refuse(endpoint.ErrorBadRequest, "client_id is not the audience of id_token_hint")
			}
			hint, id = &found, found.Audience
		}
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

// sessionToEnd returns the session that ends, "" for none, and whether the user
// is asked before.
func (e *Endpoint) sessionToEnd(r *http.Request, c client.Client, hint *idtoken.Hint) (sid string, prompt bool, err error) {
	s, here, err := e.unexpired(r)
	if err != nil || hint == nil {
		return "", true, err
	}
	hinted := e.cfg.Hints.SessionID(c, hint.SID)
	if here {
		return s.ID, hinted != s.ID && hint.Subject != e.cfg.Hints.Subject(c, s.Sub), nil
	}
	// Without a cookie: a broker's own request, not the browser's, or a form of
	// another site. The hint counts only while the very session lives that it
	// names; it cannot be replayed for ever.
	if hinted != "" {
		s, err = e.cfg.Sessions.Session(r.Context(), hinted)
		if err == nil && !s.Expired(time.Now()) && hint.Subject == e.cfg.Hints.Subject(c, s.Sub) {
			return s.ID, false, nil
		}
		if err != nil && !errors.Is(err, session.ErrNotFound) {
			return "", false, err
		}
	}
	// No session is left to end. But the browser may have withheld its cookie from
	// a form of another site, and then there is one.
	return "", r.Method == http.MethodPost, nil
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
	s, _, err := e.unexpired(r)
	if err != nil {
		return err
	}
	return e.end(w, r, s.ID, q)
}

// end ends the session, if there is one, and sends the browser back to the client
// or to the page that says so.
func (e *Endpoint) end(w http.ResponseWriter, r *http.Request, sid string, q *request) error {
	if sid != "" {
		if err := e.cfg.Sessions.EndSession(r.Context(), sid); err != nil {
			return err
		}
		e.cfg.Audit.Record(r.Context(), audit.Event{Name: audit.SessionEnded, Session: sid, Client: q.ClientID})
	}
	e.cfg.Cookies.ClearSession(w)
	e.cfg.Cookies.ClearBrowser(w)
	endpoint.Redirect(w, q.destination())
	return nil
}

func (q *request) destination() string {
	switch {
	case q.URI != "" && q.State != "":
		return endpoint.WithParameters(q.URI, endpoint.Parameter{Name: "state", Value: q.State})
	case q.URI != "":
		return q.URI
	case q.ClientID != "":
		return endpoint.WithParameters(endpoint.PathSignedOut, endpoint.Parameter{Name: "client_id", Value: q.ClientID})
	}
	return endpoint.PathSignedOut
}

// signedOut is the page after signing out. client_id only chooses whose name and
// home it shows.
func (e *Endpoint) signedOut(w http.ResponseWriter, r *http.Request) error {
	v := SignedOutView{}
	if in, err := endpoint.Query(r); err == nil {
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
