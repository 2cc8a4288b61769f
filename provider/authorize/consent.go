// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// consentRequest is an authorization request that waits for the user's consent.
// It travels sealed in the form of the prompt; no code exists for it yet. A user who
// confirms must be signed in as the same user, in the same sign-in or a later one.
type consentRequest struct {
	Request  *request `json:"q"`
	Sub      string   `json:"s"`
	AuthTime int64    `json:"a"` // of the session that was asked, in nanoseconds since 1970
	// Ticket is what consent gives: confirming twice gives the same code.
	Ticket ticket `json:"t"`
	Until  int64  `json:"e"` // seconds since 1970
	// Shown is the name under which the prompt shows a client that registered itself.
	Shown string `json:"n,omitempty"`
}

// shownTo returns the name under which users see a client that registered itself, "" for one
// that an operator vouches for: whatever its name is, consent to it lasts.
func shownTo(c client.Client, q *request) string {
	if c.Registration == nil {
		return ""
	}
	return c.Shown(q.destination())
}

// seal seals the request. Nowhere else are its code and token written out.
func (q consentRequest) seal(master *keys.Master) (string, error) {
	plain := map[string]string{"c": string(q.Ticket.Code), "g": q.Ticket.GrantID}
	if q.Ticket.Access != "" {
		plain["a"] = string(q.Ticket.Access)
	}
	return endpoint.Seal(master, keys.PurposeConsentRequest, struct {
		consentRequest
		Ticket map[string]string `json:"t"` // hides the one that is redacted
	}{q, plain})
}

// Expiry implements endpoint.Box.
func (q *consentRequest) Expiry() int64 { return q.Until }

// whole reports whether nothing is missing that this version of the program needs.
func (q *consentRequest) whole() bool {
	return q.Request != nil && q.Ticket.Code != "" && q.Ticket.GrantID != "" &&
		(q.Ticket.Access != "") == q.Request.responseType().AccessToken()
}

// consents knows when consent is needed, and makes the prompt.
type consents struct {
	store    consent.Store
	people   subject.Store
	master   *keys.Master
	lifetime time.Duration // of the prompt
	views    views
	audit    audit.Recorder
}

// needed reports whether the user must consent before the client gets a code
// (OpenID Connect Core §3.1.2.4).
func (cs consents) needed(ctx context.Context, q *request, c client.Client, sub string) (bool, error) {
	if cs.always(q, c) || c.Consent == client.ConsentNone {
		return cs.missing(q, c, nil), nil
	}
	known, err := cs.store.Consent(ctx, sub, c.ID)
	if errors.Is(err, consent.ErrNotFound) {
		return true, nil
	}
	return cs.missing(q, c, &known), err
}

// always reports whether the user must consent, whatever they have allowed before.
func (consents) always(q *request, c client.Client) bool {
	return q.Prompt.Consent || c.Consent == client.ConsentAlways
}

// missing is needed for a user who allows the client this, nil for nothing.
func (cs consents) missing(q *request, c client.Client, allowed *consent.Consent) bool {
	switch {
	case cs.always(q, c):
		return true
	case c.Consent == client.ConsentNone:
		return false
	}
	if allowed == nil || c.RegisteredAfter(allowed.LastUsed) || !allowed.Covers(q.consentScopes()) {
		return true
	}
	name := shownTo(c, q)
	return name != "" && !allowed.Saw(name) // the client has changed (RFC 7592 §2.2)
}

// ended reports whether the user has taken back the consent that a response which is to be
// given again needed.
func (cs consents) ended(ctx context.Context, q *request, c client.Client, sub string) (bool, error) {
	if c.Consent == client.ConsentNone && !q.Prompt.Consent {
		return false, nil
	}
	known, err := cs.store.Consent(ctx, sub, c.ID)
	if errors.Is(err, consent.ErrNotFound) {
		return true, nil
	}
	return !known.Covers(q.consentScopes()), err
}

// until returns when a prompt that was first shown then expires. One that is shown
// again keeps that.
func (cs consents) until(shown time.Time) int64 { return shown.Add(cs.lifetime).Unix() }

// prompt returns the consent page for the user of a session, who has this number.
func (cs consents) prompt(
	q *request, c client.Client, s session.Session, n phone.Number, t ticket, until int64,
) (ConsentView, error) {
	sealed, err := consentRequest{
		Request:  q,
		Sub:      s.Sub,
		AuthTime: s.AuthTime.UnixNano(),
		Ticket:   t,
		Until:    until,
		Shown:    shownTo(c, q),
	}.seal(cs.master)
	if err != nil {
		return ConsentView{}, err
	}
	return ConsentView{
		Client:     cs.views.of(c, q),
		Request:    sealed,
		Scopes:     q.consentScopes(),
		Number:     n.Masked(),
		UILocales:  q.UILocales,
		FormAction: endpoint.FormAction(q.RedirectURI),
	}, nil
}

// promptIn is prompt with the number that the user has now.
func (cs consents) promptIn(
	ctx context.Context, q *request, c client.Client, s session.Session, t ticket, until int64,
) (ConsentView, error) {
	person, err := cs.people.Person(ctx, s.Sub)
	if err != nil {
		return ConsentView{}, err
	}
	return cs.prompt(q, c, s, person.Number, t, until)
}

// showConsent shows the consent prompt for a session's user.
func (e *Endpoint) showConsent(w http.ResponseWriter, r *http.Request, q *request, c client.Client, s session.Session) error {
	v, err := e.consents.promptIn(r.Context(), q, c, s, newTicket(q), e.consents.until(time.Now()))
	if err != nil {
		return err
	}
	e.pages.Consent(w, r, v)
	return nil
}

// decideConsent takes the user's decision.
func (e *Endpoint) decideConsent(w http.ResponseWriter, r *http.Request, in endpoint.Parameters) error {
	find := e.sessions.current
	if in.Get("decision") == "allow" { // whose code names the session
		find = e.sessions.recalled
	}
	q, c, s, err := e.openConsent(r, in.Get("request"), find)
	if err != nil {
		return err
	}
	switch in.Get("decision") {
	case "allow":
		if !q.Request.acceptsACR(s.ACR) { // the user has signed in again since the prompt was shown (Core §5.5.1.1)
			return e.refuse(w, r, q.Request, unmetACR("the user signed in by "+s.ACR))
		}
		resp, err := e.allow(r.Context(), q, c, s)
		if errors.Is(err, login.ErrState) {
			if _, _, _, err := e.openConsent(r, in.Get("request"), e.sessions.current); err != nil {
				return err
			}
			return e.clients.restart(r.Context(), q.Request, answered(q.Request))
		}
		if err != nil {
			return err
		}
		resp.Write(w, r, e.pages)
		return nil
	case "deny":
		e.consents.audit.Record(r.Context(), audit.Event{Name: audit.ConsentDenied, Subject: s.Sub, Client: c.ID})
		if q.Request.forDevice() {
			return e.denyDevice(w, r, q.Request, s)
		}
		e.responses.refusalIn(q.Request, e.states.Of(s.ID), accessDenied("the user did not allow it")).Write(w, r, e.pages)
		return nil
	case "another":
		if err := e.clients.checkACR(q.Request, c); err != nil {
			return e.refuse(w, r, q.Request, err)
		}
		q.Request.Until = q.Until // it expires when the prompt would have
		v, err := e.form.view(r.Context(), q.Request, c, "", e.addr.Network(r))
		if err != nil {
			return err
		}
		e.pages.SignIn(w, r, v)
		return nil
	}
	return badRequest("decision is not one of allow, deny, another")
}

// answered is the page for a request that gives nothing more.
func answered(q *request) error {
	return endpoint.NewPageError(endpoint.ErrorFinished, http.StatusGone, "the code was used, or the session has ended").In(q.UILocales)
}

// openConsent opens the sealed prompt that a user decides on, and checks that it
// is theirs, by the session that find returns. An error is an *endpoint.PageError or an
// internal one.
func (e *Endpoint) openConsent(r *http.Request, sealed string, find findSession) (*consentRequest, client.Client, session.Session, error) {
	var c client.Client
	var s session.Session
	q := new(consentRequest)
	err := endpoint.Open(e.consents.master, keys.PurposeConsentRequest, sealed, q, time.Now())
	expired := errors.Is(err, endpoint.ErrRequestExpired)
	if err != nil && !expired {
		return q, c, s, err
	}
	if !q.whole() {
		return q, c, s, endpoint.ErrBadRequest
	}
	refuse := func(kind endpoint.ErrorKind, status int, detail string) error {
		return endpoint.NewPageError(kind, status, "%s", detail).In(q.Request.UILocales)
	}
	if expired {
		return q, c, s, e.clients.restart(r.Context(), q.Request, refuse(endpoint.ErrorRequestExpired, http.StatusBadRequest, "the prompt was open for too long"))
	}
	c, err = e.clients.again(r.Context(), q.Request)
	if errors.Is(err, endpoint.ErrBadRequest) {
		return q, c, s, refuse(endpoint.ErrorBadRequest, http.StatusBadRequest, "the client may not have the response any more")
	}
	if err != nil {
		return q, c, s, err
	}
	if q.Shown != shownTo(c, q.Request) { // the user saw another name (RFC 7592 §2.2)
		return q, c, s, refuse(endpoint.ErrorRequestExpired, http.StatusBadRequest, "the client has changed its name or its address meanwhile")
	}
	s, here, err := find(r.Context(), e.cookies.Session(r))
	switch {
	case err != nil:
		return q, c, s, err
	case !here:
		return q, c, s, refuse(endpoint.ErrorRequestExpired, http.StatusBadRequest, "there is no session any more")
	case s.Sub != q.Sub || s.AuthTime.UnixNano() < q.AuthTime:
		return q, c, s, refuse(endpoint.ErrorNotYourBrowser, http.StatusForbidden, "another user was asked")
	}
	return q, c, s, nil
}

// allow keeps the consent and makes the code that it buys: one commit. Repeated, it
// gives the same code while that may be redeemed, and another one when it has expired
// without; login.ErrState after a code was redeemed.
func (e *Endpoint) allow(ctx context.Context, q *consentRequest, c client.Client, s session.Session) (Response, error) {
	given, idToken, err := q.Ticket.first(), redact.Text(""), grant.ErrNotFound // there is none yet, usually
	for range 3 {                                                               // of a race, one turn is lost
		if idToken, err = e.front.idToken(ctx, q.Request, c, s, given); err != nil {
			break
		}
		err = e.keep(ctx, q, c, s, given)
		if err == nil {
			e.codes.allowed(ctx, q.Request, s)
			e.consents.audit.Record(ctx, audit.Event{
				Name:    audit.ConsentGiven,
				Subject: s.Sub,
				Session: s.ID,
				Client:  q.Request.ClientID,
				Scope:   strings.Join(q.Request.consentScopes(), " "),
			})
		}
		if errors.Is(err, grant.ErrExists) { // this form was sent before, or just now
			// Nothing has named the session yet, which may be recalled and have ended.
			if _, err = e.sessions.store.SessionBySecret(ctx, s.Secret); err == nil {
				given, err = e.given(ctx, q.Request, c, s, q.Ticket)
			}
			if err == nil {
				idToken, err = e.front.idToken(ctx, q.Request, c, s, given)
			}
		}
		if !errors.Is(err, grant.ErrNotFound) {
			break
		}
	}
	if refusal, ok := errors.AsType[*oidc.Error](err); ok {
		return e.responses.refusal(q.Request, refusal), nil
	}
	switch {
	case hasEnded(err), errors.Is(err, grant.ErrNotFound):
		return Response{}, login.ErrState
	case err != nil:
		return Response{}, err
	}
	return e.succeed(ctx, q.Request, c, s, given, idToken), nil
}

// given returns what a form or a finished attempt gives now (codes.of). Ending a consent
// voids codes; where there is none, the consent is asked itself.
func (r *room) given(ctx context.Context, q *request, c client.Client, s session.Session, t ticket) (gift, error) {
	g, err := r.codes.of(ctx, q, s, t)
	if err != nil || q.responseType().Code() {
		return g, err
	}
	ended, err := r.consents.ended(ctx, q, c, s.Sub)
	if err == nil && ended {
		err = login.ErrState
	}
	return g, err
}

// keep stores the user's consent, with what it buys.
func (e *Endpoint) keep(ctx context.Context, q *consentRequest, c client.Client, s session.Session, g gift) error {
	now := time.Now()
	bought := e.codes.code(q.Request, c, s, g, q.Ticket.GrantID, now, time.Unix(q.Until, 0))
	_, err := e.consents.store.Allow(ctx, s.Sub, q.Request.ClientID, func(known *consent.Consent) consent.Approval {
		if known != nil && c.RegisteredAfter(known.LastUsed) {
			known = nil
		}
		allowed := consent.Widen(known, s.Sub, q.Request.ClientID, q.Request.consentScopes(), now)
		if q.Shown != "" {
			allowed.See(q.Shown)
		}
		return consent.Approval{Consent: allowed, Code: bought}
	})
	return err
}
