package provider

import (
	"crypto/subtle"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"calleridp/provider/account"
	"calleridp/provider/session"
)

// accountAction is something that a person does at their account. It answers the
// browser.
type accountAction func(w http.ResponseWriter, r *http.Request, in parameters, s session.Session, record account.Record)

// accountForm takes a form of the account page: from our own site, in the session
// that was shown it. Whoever is not signed in any more is asked to sign in.
func (p *Provider) accountForm(do accountAction) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := p.sameSite.Check(r); err != nil {
			p.errorPage(w, r, ErrorView{Kind: ErrorCrossOrigin, Status: http.StatusForbidden, Detail: err.Error()})
			return
		}
		in, err := bodyParameters(r)
		if err != nil {
			p.unreadable(w, r, err)
			return
		}
		s, record, ok, err := p.myAccount(r)
		switch {
		case err != nil:
			p.oops(w, r, err)
		case !ok:
			seeOther(w, PathAccount)
		case subtle.ConstantTimeCompare([]byte(in.get("token")), []byte(p.formToken(s))) != 1:
			p.errorPage(w, r, ErrorView{Kind: ErrorCrossOrigin, Status: http.StatusForbidden, Detail: "the form's token is not that of the session"})
		default:
			do(w, r, in, s, record)
		}
	}
}

// recent is an action that needs a recent sign-in: the page at path asks for one.
func (p *Provider) recent(path string, do accountAction) accountAction {
	return func(w http.ResponseWriter, r *http.Request, in parameters, s session.Session, record account.Record) {
		if !s.Fresh(recently, time.Now()) {
			seeOther(w, path)
			return
		}
		do(w, r, in, s, record)
	}
}

// revokeAccess takes everything from one application.
func (p *Provider) revokeAccess(w http.ResponseWriter, r *http.Request, in parameters, s session.Session, _ account.Record) {
	clientID := in.get("client")
	if err := p.Accounts.RevokeClient(r.Context(), s.Sub, clientID); err != nil {
		p.oops(w, r, err)
		return
	}
	p.didAtAccount(r, "access.revoked", s, slog.String("client", clip(clientID)))
	seeOther(w, PathAccount+"?did="+string(DidRevoke))
}

// signOutSession ends one session of the person's.
func (p *Provider) signOutSession(w http.ResponseWriter, r *http.Request, in parameters, s session.Session, record account.Record) {
	id := in.get("session")
	theirs := slices.ContainsFunc(record.Sessions, func(s session.Session) bool { return s.ID == id })
	if theirs {
		if err := p.Sessions.EndSession(r.Context(), id); err != nil {
			p.oops(w, r, err)
			return
		}
		p.didAtAccount(r, "session.ended", s, slog.String("sid", id), slog.String("client", ownClientID))
	}
	if id == s.ID {
		p.leaveAccount(w, PathSignedOut)
		return
	}
	// One that has ended meanwhile, or was never theirs, is not there any more.
	seeOther(w, PathAccount+"?did="+string(DidSignOut))
}

// signOutEverywhere ends all of them, this one too.
func (p *Provider) signOutEverywhere(w http.ResponseWriter, r *http.Request, _ parameters, s session.Session, _ account.Record) {
	if err := p.Accounts.EndSessions(r.Context(), s.Sub); err != nil {
		p.oops(w, r, err)
		return
	}
	p.didAtAccount(r, "sessions.ended", s)
	p.leaveAccount(w, PathSignedOut)
}

// downloadAccount gives the person what is stored about them.
func (p *Provider) downloadAccount(w http.ResponseWriter, r *http.Request, _ parameters, s session.Session, record account.Record) {
	body, err := p.stored(record, time.Now())
	if err != nil {
		p.oops(w, r, err)
		return
	}
	p.didAtAccount(r, "person.downloaded", s)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="account.json"`)
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(body) // an error means that the browser has gone
}

// deleteAccount deletes the person with everything they have.
func (p *Provider) deleteAccount(w http.ResponseWriter, r *http.Request, _ parameters, s session.Session, _ account.Record) {
	if err := p.Accounts.DeletePerson(r.Context(), s.Sub); err != nil {
		p.oops(w, r, err)
		return
	}
	// The sub alone: it means nothing to anybody any more.
	p.Audit.LogAttrs(r.Context(), slog.LevelInfo, "person.deleted", slog.String("sub", s.Sub))
	p.leaveAccount(w, PathAccountDeleted)
}

// didAtAccount records what a person did at their account.
func (p *Provider) didAtAccount(r *http.Request, event string, s session.Session, more ...slog.Attr) {
	p.Audit.LogAttrs(r.Context(), slog.LevelInfo, event, append([]slog.Attr{slog.String("sub", s.Sub), slog.String("by", s.ID)}, more...)...)
}

// leaveAccount goes to a page for those who are not signed in.
func (p *Provider) leaveAccount(w http.ResponseWriter, path string) {
	p.Cookies.ClearSession(w)
	seeOther(w, path)
}

// seeOther goes to one of our own pages.
func seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
