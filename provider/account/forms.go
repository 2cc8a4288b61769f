// SPDX-License-Identifier: Apache-2.0

package account

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/consent"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/provider/subject"
)

// action is something that the user of a session does at their account.
type action func(w http.ResponseWriter, r *http.Request, in endpoint.Parameters, s session.Session, record subject.Record) error

// form accepts a form of the account pages: from our own site, in the session that
// was shown it. Where there is no session any more, it leads to the sign-in page.
func (a *Account) form(do action) endpoint.PageHandler {
	return a.cfg.Browser.OwnForm(func(w http.ResponseWriter, r *http.Request, in endpoint.Parameters) error {
		s, record, ok, err := a.current(r)
		switch {
		case err != nil:
			return err
		case !ok:
			endpoint.SeeOther(w, endpoint.PathAccount)
			return nil
		case subtle.ConstantTimeCompare([]byte(in.Get("token")), []byte(a.formToken(s))) != 1:
			return endpoint.NewPageError(endpoint.ErrorCrossOrigin, http.StatusForbidden, "the form's token is not that of the session")
		}
		return do(w, r, in, s, record)
	})
}

// recent is an action that needs a recent sign-in: the page at path asks for one.
func (a *Account) recent(path string, do action) action {
	return func(w http.ResponseWriter, r *http.Request, in endpoint.Parameters, s session.Session, record subject.Record) error {
		if !s.Fresh(recently, time.Now()) {
			endpoint.SeeOther(w, path)
			return nil
		}
		return do(w, r, in, s, record)
	}
}

// revokeAccess ends one application's access.
func (a *Account) revokeAccess(w http.ResponseWriter, r *http.Request, in endpoint.Parameters, s session.Session, record subject.Record) error {
	clientID := in.Get("client")
	if err := a.cfg.Records.RevokeClient(r.Context(), s.Sub, clientID); err != nil {
		return err
	}
	if hasAccess(record, clientID) { // else it is any text
		a.record(r, s, audit.Event{Name: audit.AccessRevoked, Client: clientID})
	}
	endpoint.SeeOther(w, endpoint.PathAccount+"?did="+string(DidRevoke))
	return nil
}

// hasAccess reports whether the user has given the client anything that is stored.
func hasAccess(record subject.Record, clientID string) bool {
	return slices.ContainsFunc(record.Consents, func(c consent.Consent) bool { return c.ClientID == clientID }) ||
		slices.ContainsFunc(record.Grants, func(g grant.Grant) bool { return g.ClientID == clientID })
}

// signOutSession ends one session of the user.
func (a *Account) signOutSession(w http.ResponseWriter, r *http.Request, in endpoint.Parameters, s session.Session, record subject.Record) error {
	id := in.Get("session")
	theirs := slices.ContainsFunc(record.Sessions, func(s session.Session) bool { return s.ID == id })
	if theirs {
		ended, err := a.cfg.Sessions.EndSession(r.Context(), id)
		if err != nil {
			return err
		}
		a.record(r, s, audit.Event{Name: audit.SessionEnded, Session: id, Client: endpoint.AccountClientID})
		if id == s.ID {
			a.cfg.SignOut.SignedOut(w, r, ended, "")
			return nil
		}
	}
	// A session that has ended meanwhile, or was never theirs, is not there any more.
	endpoint.SeeOther(w, endpoint.PathAccount+"?did="+string(DidSignOut))
	return nil
}

// signOutEverywhere ends all sessions of the user, this one included.
func (a *Account) signOutEverywhere(w http.ResponseWriter, r *http.Request, _ endpoint.Parameters, s session.Session, _ subject.Record) error {
	if err := a.cfg.Records.EndSessions(r.Context(), s.Sub); err != nil {
		return err
	}
	a.record(r, s, audit.Event{Name: audit.SessionsEnded})
	a.cfg.SignOut.SignedOut(w, r, s, "")
	return nil
}

// download sends the user what is stored about them.
func (a *Account) download(w http.ResponseWriter, r *http.Request, _ endpoint.Parameters, s session.Session, record subject.Record) error {
	body, err := export(record, a.cfg.Issuer, time.Now())
	if err != nil {
		return err
	}
	a.record(r, s, audit.Event{Name: audit.PersonDownloaded})
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="account.json"`)
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(body) // an error means that the browser disconnected
	return nil
}

// delete deletes the user with everything they have.
func (a *Account) delete(w http.ResponseWriter, r *http.Request, _ endpoint.Parameters, s session.Session, _ subject.Record) error {
	if err := a.cfg.Records.DeletePerson(r.Context(), s.Sub); err != nil {
		return err
	}
	// The sub alone, which identifies no user any more.
	a.cfg.Audit.Record(r.Context(), audit.Event{Name: audit.PersonDeleted, Subject: s.Sub})
	a.cfg.Cookies.ClearDevices(w)
	a.cfg.SignOut.SignedOut(w, r, s, endpoint.PathAccountDeleted)
	return nil
}

// record audits what the user of a session did at their account.
func (a *Account) record(r *http.Request, s session.Session, e audit.Event) {
	e.Subject, e.Actor = s.Sub, s.ID
	a.cfg.Audit.Record(r.Context(), e)
}
