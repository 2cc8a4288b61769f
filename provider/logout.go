package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/session"
)

// logoutRequest is a validated logout request (OpenID Connect RP-Initiated
// Logout §2). It travels sealed in the form of the question.
type logoutRequest struct {
	ClientID  string   `json:"c,omitempty"` // "" when the request names none that can be trusted
	URI       string   `json:"u,omitempty"` // registered post_logout_redirect_uri
	State     string   `json:"s,omitempty"`
	UILocales []string `json:"l,omitempty"`
	Until     int64    `json:"e"` // seconds since 1970
}

// endSession is the end_session_endpoint. The session is known by the browser's
// cookie. A valid id_token_hint of the session's own person skips the question;
// without one a person is asked, because anybody can make a browser come here.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	read := queryParameters
	if r.Method == http.MethodPost {
		read = bodyParameters
	}
	in, err := read(r)
	if err == nil && in.anyRepeated() != "" {
		err = errDuplicates
	}
	if err != nil {
		p.unreadable(w, r, err)
		return
	}
	q := &logoutRequest{State: in.get("state"), UILocales: locales(in.get("ui_locales"))}
	c, hint, err := p.checkLogout(r.Context(), in, q)
	if bad := (*refused)(nil); errors.As(err, &bad) {
		bad.page.UILocales = q.UILocales
		p.errorPage(w, r, *bad.page)
		return
	}
	if err != nil {
		p.oops(w, r, err)
		return
	}
	ends, ask, err := p.sessionToEnd(r, c, hint)
	if err != nil {
		p.oops(w, r, err)
		return
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	if ask {
		p.askSignOut(w, r, c, q)
		return
	}
	p.signOut(w, r, ends, q)
}

// checkLogout finds out which client asks. A hint that is not ours, or of a key
// that is retired for long, counts as none: then a person is asked, and the
// browser goes nowhere that is not known to be right (§4).
func (p *Provider) checkLogout(ctx context.Context, in parameters, q *logoutRequest) (client.Client, *idTokenHint, error) {
	var hint *idTokenHint
	id := in.get("client_id")
	if text := in.get("id_token_hint"); text != "" {
		if found, err := p.readHint(text); err == nil {
			if id != "" && id != found.Audience {
				return client.Client{}, nil, toPage(ErrorBadRequest, "client_id is not the audience of id_token_hint")
			}
			hint, id = &found, found.Audience
		}
	}
	if id == "" {
		return client.Client{}, nil, nil
	}
	c, err := p.Clients.Client(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		return client.Client{}, nil, toPage(ErrorUnknownClient, "no client is registered with client_id %q", clip(id))
	}
	if err != nil {
		return client.Client{}, nil, err
	}
	uri := in.get("post_logout_redirect_uri")
	if uri != "" && !c.PostLogoutAllowed(uri) {
		return client.Client{}, nil, toPage(ErrorRedirectURI, "post_logout_redirect_uri %q is not registered for %s", clip(uri), c.ID)
	}
	q.ClientID, q.URI = c.ID, uri
	return c, hint, nil
}

// sessionToEnd says which session ends, "" for none, and whether a person is
// asked before.
func (p *Provider) sessionToEnd(r *http.Request, c client.Client, hint *idTokenHint) (string, bool, error) {
	s, here, err := p.browserSession(r.Context(), p.Cookies.Session(r))
	switch {
	case err != nil || hint == nil:
		return "", true, err
	case here:
		return s.ID, hint.SID != s.ID && hint.Subject != p.subFor(c, s.Sub), nil
	}
	// Without a cookie: a broker on its own, without the browser, or a form of
	// another site. The hint counts only while the very session lives that it
	// names; it cannot be replayed for ever.
	if hint.SID != "" {
		s, err = p.Sessions.Session(r.Context(), hint.SID)
		if err == nil && s.Live(time.Now()) && hint.Subject == p.subFor(c, s.Sub) {
			return s.ID, false, nil
		}
		if err != nil && !errors.Is(err, session.ErrNotFound) {
			return "", false, err
		}
	}
	// Nothing is left to end. But the cookie of a browser may have been kept
	// back from a form of another site, and then there is.
	return "", r.Method == http.MethodPost, nil
}

// askSignOut shows the question.
func (p *Provider) askSignOut(w http.ResponseWriter, r *http.Request, c client.Client, q *logoutRequest) {
	q.Until = time.Now().Add(p.Lifetimes.Request).Unix()
	sealed, err := p.seal(keys.PurposeLogoutRequest, q)
	if err != nil {
		p.oops(w, r, err)
		return
	}
	v := SignOutView{Request: sealed, UILocales: q.UILocales, FormAction: formAction(q.URI)}
	if c.ID != "" {
		v.Client = clientView(c)
	}
	p.Pages.ConfirmSignOut(w, r, v)
}

// confirmSignOut takes the answer yes, from our own page only.
func (p *Provider) confirmSignOut(w http.ResponseWriter, r *http.Request) {
	if err := p.sameSite.Check(r); err != nil {
		p.errorPage(w, r, ErrorView{Kind: ErrorCrossOrigin, Status: http.StatusForbidden, Detail: err.Error()})
		return
	}
	in, err := bodyParameters(r)
	if err != nil {
		p.unreadable(w, r, err)
		return
	}
	q := new(logoutRequest)
	if err := p.unseal(keys.PurposeLogoutRequest, in.get("request"), q); err != nil {
		p.errorPage(w, r, ErrorView{Kind: ErrorBadRequest, Detail: err.Error()})
		return
	}
	if time.Now().Unix() >= q.Until {
		p.errorPage(w, r, ErrorView{Kind: ErrorRequestExpired, UILocales: q.UILocales})
		return
	}
	s, here, err := p.browserSession(r.Context(), p.Cookies.Session(r))
	if err != nil {
		p.oops(w, r, err)
		return
	}
	ends := ""
	if here {
		ends = s.ID
	}
	p.signOut(w, r, ends, q)
}

// signOut ends the session, and sends the browser back to the client or to the
// page that says so.
func (p *Provider) signOut(w http.ResponseWriter, r *http.Request, ends string, q *logoutRequest) {
	if ends != "" {
		if err := p.Sessions.EndSession(r.Context(), ends); err != nil {
			p.oops(w, r, err)
			return
		}
		p.Audit.LogAttrs(r.Context(), slog.LevelInfo, "session.ended", slog.String("sid", ends), slog.String("client", q.ClientID))
	}
	p.Cookies.ClearSession(w)
	to := Response{RedirectURI: PathSignedOut}
	if q.ClientID != "" {
		to.Params = [][2]string{{"client_id", q.ClientID}}
	}
	if q.URI != "" {
		to = Response{RedirectURI: q.URI}
		if q.State != "" {
			to.Params = [][2]string{{"state", q.State}}
		}
	}
	to.Write(w, r, p.Pages)
}

// signedOut is the page after signing out. client_id only says whose name and
// home to show.
func (p *Provider) signedOut(w http.ResponseWriter, r *http.Request) {
	v := SignedOutView{}
	if query, err := url.ParseQuery(r.URL.RawQuery); err == nil {
		c, err := p.Clients.Client(r.Context(), query.Get("client_id"))
		if err == nil {
			v.Client = clientView(c)
		} else if !errors.Is(err, client.ErrNotFound) {
			p.oops(w, r, err)
			return
		}
	}
	p.Pages.SignedOut(w, r, v)
}
