package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/session"
)

// consentRequest is an authorization request that waits for the person's
// consent. It travels sealed in the form of the question; no code exists for it
// yet. Who answers must be signed in as the same person, in the same sign-in or
// a later one.
type consentRequest struct {
	Request  *authRequest `json:"q"`
	Sub      string       `json:"s"`
	AuthTime int64        `json:"a"` // of the session that was asked, in nanoseconds since 1970
	// Ticket is the code that a yes gives: a second yes gives the same one.
	Ticket ticket `json:"t"`
	Until  int64  `json:"e"` // seconds since 1970
}

// ticket is a code that does not exist yet, and its grant. Both are random.
type ticket struct {
	Code    string `json:"c"`
	GrantID string `json:"g"`
}

func newTicket() ticket { return ticket{Code: grant.NewCode(), GrantID: grant.NewID()} }

// ticketOf is the code of a finished attempt, which its browser can have again.
func ticketOf(o login.Outcome) ticket { return ticket{Code: o.Code, GrantID: o.GrantID} }

// asksConsent says whether the person must be asked before the client gets a
// code (OpenID Connect Core §3.1.2.4).
func (p *Provider) asksConsent(ctx context.Context, q *authRequest, c client.Client, sub string) (bool, error) {
	switch {
	case q.Consent, c.Consent == client.ConsentAlways:
		return true, nil
	case c.Consent == client.ConsentNone:
		return false, nil
	}
	known, err := p.Consents.Consent(ctx, sub, c.ID)
	if errors.Is(err, consent.ErrNotFound) {
		return true, nil
	}
	return c.Follows(known.LastUsed) || !known.Covers(q.Scopes), err
}

// consentView is the question for the person of a session.
func (p *Provider) consentView(ctx context.Context, q *authRequest, c client.Client, s session.Session, t ticket) (ConsentView, error) {
	person, err := p.People.Person(ctx, s.Sub)
	if err != nil {
		return ConsentView{}, err
	}
	sealed, err := p.seal(keys.PurposeConsentRequest, consentRequest{
		Request: q, Sub: s.Sub, AuthTime: s.AuthTime.UnixNano(), Ticket: t, Until: time.Now().Add(p.Lifetimes.Request).Unix(),
	})
	if err != nil {
		return ConsentView{}, err
	}
	return ConsentView{
		Client: clientView(c), Request: sealed, Scopes: q.Scopes, Number: person.Number.Masked(),
		UILocales: q.UILocales, FormAction: formAction(q.RedirectURI),
	}, nil
}

// answerConsent takes the person's answer, from our own page only.
func (p *Provider) answerConsent(w http.ResponseWriter, r *http.Request) {
	if err := p.sameSite.Check(r); err != nil {
		p.errorPage(w, r, ErrorView{Kind: ErrorCrossOrigin, Status: http.StatusForbidden, Detail: err.Error()})
		return
	}
	in, err := bodyParameters(r)
	if err != nil {
		p.unreadable(w, r, err)
		return
	}
	q, c, s, err := p.checkConsent(r, in.get("request"))
	if bad := (*refused)(nil); errors.As(err, &bad) {
		p.errorPage(w, r, *bad.page)
		return
	}
	if err != nil {
		p.oops(w, r, err)
		return
	}
	switch in.get("decision") {
	case "allow":
		resp, err := p.allow(r.Context(), q, c, s)
		switch {
		case errors.Is(err, login.ErrState):
			p.errorPage(w, r, ErrorView{Kind: ErrorFinished, Status: http.StatusGone, UILocales: q.Request.UILocales})
		case err != nil:
			p.oops(w, r, err)
		default:
			resp.Write(w, r, p.Pages)
		}
	case "deny":
		p.Audit.LogAttrs(r.Context(), slog.LevelInfo, "consent.denied", slog.String("sub", s.Sub), slog.String("client", c.ID))
		p.refuse(q.Request, "access_denied", "the person did not allow it").Write(w, r, p.Pages)
	case "another":
		v, err := p.signInView(r.Context(), q.Request, c, "", p.network(r))
		if err != nil {
			p.oops(w, r, err)
			return
		}
		p.Pages.SignIn(w, r, v)
	default:
		p.errorPage(w, r, ErrorView{Kind: ErrorBadRequest, Detail: "decision is not one of allow, deny, another"})
	}
}

// checkConsent finds out whose answer it is, and to what. The error is a
// *refused with a page, or a failure of ours.
func (p *Provider) checkConsent(r *http.Request, sealed string) (q *consentRequest, c client.Client, s session.Session, err error) {
	q = new(consentRequest)
	if err := p.unseal(keys.PurposeConsentRequest, sealed, q); err != nil {
		return q, c, s, toPage(ErrorBadRequest, "%v", err)
	}
	refuse := func(kind ErrorKind, status int, detail string) error {
		return &refused{page: &ErrorView{Kind: kind, Status: status, Detail: detail, UILocales: q.Request.UILocales}}
	}
	if time.Now().Unix() >= q.Until {
		return q, c, s, refuse(ErrorRequestExpired, http.StatusBadRequest, "the question was open for too long")
	}
	c, err = p.recheck(r.Context(), q.Request)
	if errors.Is(err, ErrBadRequest) {
		return q, c, s, refuse(ErrorBadRequest, http.StatusBadRequest, "the client may not have the answer any more")
	}
	if err != nil {
		return q, c, s, err
	}
	s, here, err := p.browserSession(r.Context(), p.Cookies.Session(r))
	switch {
	case err != nil:
		return q, c, s, err
	case !here:
		return q, c, s, refuse(ErrorRequestExpired, http.StatusBadRequest, "nobody is signed in any more")
	case s.Sub != q.Sub || s.AuthTime.UnixNano() < q.AuthTime:
		return q, c, s, refuse(ErrorNotYourBrowser, http.StatusForbidden, "another person was asked")
	}
	return q, c, s, nil
}

// allow keeps the consent and makes the code that it buys: one commit. Answered
// a second time, it gives the same code as long as nobody has used it, and
// login.ErrState after that.
func (p *Provider) allow(ctx context.Context, q *consentRequest, c client.Client, s session.Session) (Response, error) {
	now := time.Now()
	code := p.newCode(q.Request, s, grant.HashCode(q.Ticket.Code), q.Ticket.GrantID, now)
	_, err := p.Consents.Allow(ctx, s.Sub, q.Request.ClientID, func(known *consent.Consent) consent.Approval {
		if known != nil && c.Follows(known.LastUsed) {
			known = nil
		}
		return consent.Approval{
			Consent: consent.Widen(known, s.Sub, q.Request.ClientID, q.Request.Scopes, now),
			Code:    code,
		}
	})
	switch {
	case errors.Is(err, grant.ErrExists):
		return p.sameAnswer(ctx, q.Request, q.Ticket.Code)
	case errors.Is(err, session.ErrNotFound): // it has ended meanwhile
		return Response{}, login.ErrState
	case err != nil:
		return Response{}, err
	}
	p.Audit.LogAttrs(ctx, slog.LevelInfo, "consent.given", slog.String("sub", s.Sub), slog.String("sid", s.ID),
		slog.String("client", q.Request.ClientID), slog.String("scope", strings.Join(q.Request.Scopes, " ")))
	return p.respond(q.Request, [2]string{"code", q.Ticket.Code}), nil
}

// sameAnswer repeats the answer with a code, if nobody has used it:
// login.ErrState if somebody has, grant.ErrNotFound if there is none.
func (p *Provider) sameAnswer(ctx context.Context, q *authRequest, code string) (Response, error) {
	now := time.Now()
	used, err := p.Grants.UseCode(ctx, grant.HashCode(code), func(c grant.Code, _ *grant.Grant) grant.Redemption {
		return grant.Redemption{Current: c.Grant, Refused: c.Usable(now)}
	})
	switch {
	case err != nil:
		return Response{}, err
	case used.Refused != nil:
		return Response{}, login.ErrState
	}
	return p.respond(q, [2]string{"code", code}), nil
}
