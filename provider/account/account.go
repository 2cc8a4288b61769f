// SPDX-License-Identifier: Apache-2.0

// Package account is the account page: what is stored about the user of the
// browser's session, where they are signed in, which applications have access,
// and the forms that end or delete these.
//
// Signing in to it is an attempt like any other, whose request is our own and ends
// at our own page: there is no code, and nothing leaves the site.
package account

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/provider/subject"

	"github.com/go-chi/chi/v5"
)

// SignIn shows the sign-in page for an account page. *authorize.Endpoint does it.
type SignIn interface {
	// SignInToAccount shows the page; then is the path to go to afterwards, sub the
	// user who must sign in again, "" for any.
	SignInToAccount(w http.ResponseWriter, r *http.Request, then, sub string) error
}

// SignOut ends the visit of a browser whose session has ended. *logout.Endpoint does it.
type SignOut interface {
	// SignedOut removes the browser's cookies, tells the clients of the session, and goes
	// on to next, "" for the page that says so.
	SignedOut(w http.ResponseWriter, r *http.Request, ended session.Session, next string)
}

// Clients knows the relying parties. *client.Registry is one.
type Clients interface {
	// Client returns the client with this id, or client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
}

// Config is what the account pages need. Everything is required.
type Config struct {
	Issuer   string
	Browser  *endpoint.Browser
	Pages    Pages
	Cookies  endpoint.Cookies
	Master   *keys.Master
	SignIn   SignIn
	SignOut  SignOut
	Clients  Clients
	Sessions session.Store
	Records  subject.RecordStore
	Audit    audit.Recorder
}

// Account serves the account pages.
type Account struct{ cfg Config }

// New returns an Account.
func New(cfg Config) *Account { return &Account{cfg: cfg} }

// Mount registers the account pages' paths.
func (a *Account) Mount(r chi.Router) {
	read := []string{http.MethodGet, http.MethodHead}
	page := a.cfg.Browser.Page
	r.HandleFunc(endpoint.PathAccount, page(a.overview, read...))
	r.HandleFunc(endpoint.PathAccountDeleted, page(a.deleted, read...))
	r.HandleFunc(endpoint.PathAccountRevoke, page(a.form(a.revokeAccess), http.MethodPost))
	r.HandleFunc(endpoint.PathAccountSignOut, page(a.form(a.signOutSession), http.MethodPost))
	r.HandleFunc(endpoint.PathAccountEverywhere, page(a.form(a.signOutEverywhere), http.MethodPost))
	for path, step := range map[string]struct {
		name   AccountStep
		action action
	}{
		endpoint.PathAccountDownload: {StepDownload, a.download},
		endpoint.PathAccountDelete:   {StepDelete, a.delete},
	} {
		confirm, confirmed := a.confirmation(step.name), a.form(a.recent(path, step.action))
		r.HandleFunc(path, page(func(w http.ResponseWriter, r *http.Request) error {
			if r.Method == http.MethodPost {
				return confirmed(w, r)
			}
			return confirm(w, r)
		}, append(read, http.MethodPost)...))
	}
}

// recently is how old a sign-in may be for an action that cannot be undone.
const recently = 10 * time.Minute

// formToken is in the forms of the account pages. Only the pages that a session
// was shown have it.
func (a *Account) formToken(s session.Session) string {
	mac := a.cfg.Master.MAC(keys.PurposeAccountForm, []byte(s.ID))
	return base64.RawURLEncoding.EncodeToString(mac[:])
}

// overview is the account page, or the sign-in page where there is no session.
func (a *Account) overview(w http.ResponseWriter, r *http.Request) error {
	s, record, ok, err := a.current(r)
	if err != nil {
		return err
	}
	if !ok {
		return a.cfg.SignIn.SignInToAccount(w, r, endpoint.PathAccount, "")
	}
	v, err := a.view(r.Context(), s, record)
	if err != nil {
		return err
	}
	if did := AccountDeed(r.URL.Query().Get("did")); did == DidRevoke || did == DidSignOut {
		v.Did = did
	}
	a.cfg.Pages.Account(w, r, v)
	return nil
}

// confirmation is the page before an action that needs a recent sign-in, or the
// sign-in page before that.
func (a *Account) confirmation(step AccountStep) endpoint.PageHandler {
	return func(w http.ResponseWriter, r *http.Request) error {
		s, record, ok, err := a.current(r)
		switch {
		case err != nil:
			return err
		case !ok:
			return a.cfg.SignIn.SignInToAccount(w, r, r.URL.Path, "")
		case !s.Fresh(recently, time.Now()):
			return a.cfg.SignIn.SignInToAccount(w, r, r.URL.Path, s.Sub)
		}
		a.cfg.Pages.AccountStep(w, r, AccountStepView{
			Step:   step,
			Number: record.Person.Number.Masked(),
			Token:  a.formToken(s),
		})
		return nil
	}
}

// deleted is the page after the account was deleted.
func (a *Account) deleted(w http.ResponseWriter, r *http.Request) error {
	a.cfg.Pages.AccountStep(w, r, AccountStepView{Step: StepDeleted})
	return nil
}

// current returns the browser's session and what is stored about its user.
func (a *Account) current(r *http.Request) (session.Session, subject.Record, bool, error) {
	s, ok, err := session.Current(r.Context(), a.cfg.Sessions, a.cfg.Cookies.Session(r))
	if err != nil || !ok {
		return session.Session{}, subject.Record{}, false, err
	}
	record, err := a.cfg.Records.Account(r.Context(), s.Sub)
	if errors.Is(err, subject.ErrNotFound) {
		return session.Session{}, subject.Record{}, false, nil
	}
	if err != nil {
		return session.Session{}, subject.Record{}, false, err
	}
	return s, record, true, nil
}

// view returns what the user sees of their account.
func (a *Account) view(ctx context.Context, here session.Session, record subject.Record) (AccountView, error) {
	v := AccountView{
		Name:       nameOf(record.Person),
		Number:     record.Person.Number.Masked(),
		NumberLost: !record.Bound,
		Token:      a.formToken(here),
	}
	for _, s := range record.Sessions {
		v.Sessions = append(v.Sessions, SessionView{
			ID:       s.ID,
			Device:   s.Device,
			Country:  s.Country,
			Created:  s.Created,
			LastUsed: s.LastUsed,
			Here:     s.ID == here.ID,
		})
	}
	slices.SortStableFunc(v.Sessions, func(a, b SessionView) int {
		switch {
		case a.Here && !b.Here:
			return -1
		case b.Here && !a.Here:
			return 1
		}
		return b.LastUsed.Compare(a.LastUsed)
	})
	var err error
	v.Applications, err = a.applications(ctx, record)
	return v, err
}

// applications returns the applications that have access: by a live grant, or
// because of a stored consent.
func (a *Account) applications(ctx context.Context, record subject.Record) ([]ApplicationView, error) {
	found := accesses{clients: a.cfg.Clients, issuer: a.cfg.Issuer, known: map[string]client.Client{}, views: map[string]*ApplicationView{}}
	for _, c := range record.Consents {
		if err := found.add(ctx, c.ClientID, c.Scopes, c.Created, c.LastUsed); err != nil {
			return nil, err
		}
	}
	for _, g := range record.Grants {
		if g.Revoked {
			continue
		}
		if err := found.add(ctx, g.ClientID, claims.WithScopesOf(g.Scopes, g.IDTokenClaims, g.UserinfoClaims), g.Created, lastUse(g)); err != nil {
			return nil, err
		}
	}
	return found.sorted(), nil
}

// accesses gathers consents and grants by client.
type accesses struct {
	clients Clients
	issuer  string
	known   map[string]client.Client
	views   map[string]*ApplicationView
}

func (as accesses) client(ctx context.Context, id string) (client.Client, error) {
	if c, ok := as.known[id]; ok {
		return c, nil
	}
	c, err := as.clients.Client(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		c, err = client.Client{ID: id}, nil
	}
	if err == nil {
		as.known[id] = c
	}
	return c, err
}

func (as accesses) add(ctx context.Context, clientID string, scopes []string, since, used time.Time) error {
	c, err := as.client(ctx, clientID)
	if err != nil {
		return err
	}
	if c.RegisteredAfter(used) { // it was given to a removed client of the same ID
		return nil
	}
	v := as.views[clientID]
	if v == nil {
		v = &ApplicationView{Client: endpoint.ViewOf(c), Open: endpoint.InitiateLogin(c, as.issuer), Since: since}
		as.views[clientID] = v
	}
	for _, scope := range scopes {
		if !slices.Contains(v.Scopes, scope) && c.AllowsScope(scope) {
			v.Scopes = append(v.Scopes, scope)
		}
	}
	if since.Before(v.Since) {
		v.Since = since
	}
	if used.After(v.LastUsed) {
		v.LastUsed = used
	}
	return nil
}

func (as accesses) sorted() []ApplicationView {
	all := make([]ApplicationView, 0, len(as.views))
	for _, v := range as.views {
		all = append(all, *v)
	}
	slices.SortFunc(all, func(a, b ApplicationView) int {
		return cmp.Or(b.LastUsed.Compare(a.LastUsed), cmp.Compare(a.Client.ID, b.Client.ID))
	})
	return all
}

// lastUse returns when a grant last gave tokens.
func lastUse(g grant.Grant) time.Time {
	if g.Rotated.After(g.Created) {
		return g.Rotated
	}
	return g.Created
}
