package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// authorize is the authorization endpoint (OpenID Connect Core §3.1.2). Without
// a session it stores nothing and sets no cookie: the request travels sealed in
// the page's form (invariant 1).
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	read := queryParameters
	if r.Method == http.MethodPost {
		read = bodyParameters
	}
	in, err := read(r)
	if err != nil {
		p.unreadable(w, r, err)
		return
	}
	q, c, err := p.check(r.Context(), in)
	if bad := (*refused)(nil); errors.As(err, &bad) {
		if bad.page != nil {
			p.errorPage(w, r, *bad.page)
			return
		}
		p.refuse(q, bad.code, bad.description).Write(w, r, p.Pages)
		return
	}
	if err != nil {
		p.oops(w, r, err)
		return
	}
	if p.cookielessPost(r) {
		// Browsers keep SameSite=Lax cookies back from a form of another site,
		// and send them when the same request comes as a GET.
		form := in.form()
		form.Del("login_hint") // a number is better typed again than in a URL (invariant 10)
		if query := form.Encode(); len(query) <= maxRedirectedQuery {
			w.Header().Set("Location", PathAuthorize+"?"+query)
			w.WriteHeader(http.StatusSeeOther)
			return
		}
	}
	s, signedIn, err := p.signedIn(r.Context(), q, c, p.Cookies.Session(r))
	if err != nil {
		p.oops(w, r, err)
		return
	}
	switch {
	case signedIn && r.Method == http.MethodHead:
		// Looking is free: a code is made for a browser that will take it.
		w.WriteHeader(http.StatusOK)
	case signedIn:
		p.answerSignedIn(w, r, q, c, s)
	case q.Silent:
		p.refuse(q, "login_required", "nobody is signed in here who could be returned without asking").Write(w, r, p.Pages)
	default:
		v, err := p.signInView(r.Context(), q, c, p.prefill(q, c), p.network(r))
		if err != nil {
			p.oops(w, r, err)
			return
		}
		p.Pages.SignIn(w, r, v)
	}
}

// answerSignedIn answers the request of a browser with a session: with a code,
// or first with the question whether the client may have one.
func (p *Provider) answerSignedIn(w http.ResponseWriter, r *http.Request, q *authRequest, c client.Client, s session.Session) {
	asks, err := p.asksConsent(r.Context(), q, c, s.Sub)
	switch {
	case err != nil:
		p.oops(w, r, err)
	case asks && q.Silent:
		p.refuse(q, "consent_required", "the person has not allowed this yet").Write(w, r, p.Pages)
	case asks:
		v, err := p.consentView(r.Context(), q, c, s, newTicket())
		if err != nil {
			p.oops(w, r, err)
			return
		}
		p.Pages.Consent(w, r, v)
	default:
		resp, err := p.codeFor(r.Context(), q, s)
		if err != nil {
			p.oops(w, r, err)
			return
		}
		resp.Write(w, r, p.Pages)
	}
}

// maxRedirectedQuery is the longest request that is turned from POST into GET.
const maxRedirectedQuery = 6 << 10

// cookielessPost says whether this is a form of another site, whose cookies the
// browser kept back.
func (p *Provider) cookielessPost(r *http.Request) bool {
	return r.Method == http.MethodPost && r.Header.Get("Sec-Fetch-Site") == "cross-site" && p.Cookies.Session(r) == ""
}

// unreadable is the answer to parameters that cannot be read.
func (p *Provider) unreadable(w http.ResponseWriter, r *http.Request, err error) {
	v := ErrorView{Kind: ErrorBadRequest, Detail: err.Error()}
	if errors.Is(err, errTooLarge) {
		v.Kind, v.Status = ErrorTooLarge, http.StatusRequestEntityTooLarge
	}
	p.errorPage(w, r, v)
}

// prefill is what the number field starts with: the login_hint, if it is a
// number. It comes from outside and may be anything; nothing is sent because of
// it.
func (p *Provider) prefill(q *authRequest, c client.Client) string {
	if _, err := phone.Parse(q.LoginHint, p.region(c)); err != nil {
		return ""
	}
	return q.LoginHint
}

// browserSession finds the session of a cookie.
func (p *Provider) browserSession(ctx context.Context, secret string) (s session.Session, ok bool, err error) {
	if secret == "" {
		return session.Session{}, false, nil
	}
	s, err = p.Sessions.SessionBySecret(ctx, session.Secret(secret).Hash())
	if errors.Is(err, session.ErrNotFound) {
		return session.Session{}, false, nil
	}
	return s, err == nil && s.Live(time.Now()), err
}

// signedIn says whether the browser's session answers the request without
// another push.
func (p *Provider) signedIn(ctx context.Context, q *authRequest, c client.Client, secret string) (session.Session, bool, error) {
	if q.Reauth {
		return session.Session{}, false, nil
	}
	s, ok, err := p.browserSession(ctx, secret)
	if err != nil || !ok {
		return session.Session{}, false, err
	}
	if bound, bounded := q.maxAge(); bounded && !s.Fresh(bound, time.Now()) {
		return session.Session{}, false, nil
	}
	if q.HintSub != "" && q.HintSub != p.subFor(c, s.Sub) {
		return session.Session{}, false, nil
	}
	_, err = p.People.Person(ctx, s.Sub)
	if errors.Is(err, subject.ErrNotFound) {
		return session.Session{}, false, nil
	}
	return s, err == nil, err
}

// codeFor makes a code for the session's person: one commit, no push.
func (p *Provider) codeFor(ctx context.Context, q *authRequest, s session.Session) (Response, error) {
	text := grant.NewCode()
	code := p.newCode(q, s, grant.HashCode(text), grant.NewID(), time.Now())
	if err := p.Grants.CreateCode(ctx, code); err != nil {
		return Response{}, err
	}
	p.Audit.LogAttrs(ctx, slog.LevelInfo, "session.used", slog.String("sid", s.ID), slog.String("sub", s.Sub), slog.String("client", q.ClientID))
	return p.respond(q, [2]string{"code", text}), nil
}

// newCode is the code that a request earns in a session.
func (p *Provider) newCode(q *authRequest, s session.Session, hash grant.CodeHash, grantID string, now time.Time) grant.Code {
	end := now.Add(p.lives.Code)
	return grant.Code{
		Hash: hash, RedirectURI: q.RedirectURI, Challenge: q.Challenge, Expires: end,
		Grant: grant.Grant{
			ID: grantID, ClientID: q.ClientID, Sub: s.Sub, SID: s.ID, Scopes: q.Scopes, Nonce: q.Nonce,
			AuthTime: s.AuthTime, ACR: s.ACR, AMR: s.AMR, Created: now, Expires: end,
			Offline: slices.Contains(q.Scopes, claims.OfflineAccess),
		},
	}
}
