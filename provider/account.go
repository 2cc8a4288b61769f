package provider

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"calleridp/keys"
	"calleridp/provider/account"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/provider/subject"
)

// The account page is for the person of the browser's session: who they are
// here, where they are signed in, which applications have access. Its sign-in is
// an attempt like any other whose request is our own and ends at our own page:
// there is no code, and nothing leaves the site.

// ownClientID stands for us where an attempt names its client. No application
// can have it, because a client_id has no colon.
const ownClientID = "urn:calleridp:account"

// ownClient signs people in to the account page: by the Truecaller app of clients
// that name none, or by the first other one if that is for native applications alone.
func (p *Provider) ownClient() client.Client {
	c := client.Client{ID: ownClientID, TruecallerApp: p.TruecallerApp}
	if p.Apps[p.TruecallerApp].NativeOnly() {
		for _, id := range slices.Sorted(maps.Keys(p.Apps)) {
			if !p.Apps[id].NativeOnly() {
				c.TruecallerApp = id
				break
			}
		}
	}
	return c
}

// own says whether the request is that of the account page.
func (q *authRequest) own() bool { return q.ClientID == ownClientID }

// recently is how old a sign-in may be for what cannot be undone.
const recently = 10 * time.Minute

// formToken is in the forms of the account page. Only the pages that a session
// was shown have it.
func (p *Provider) formToken(s session.Session) string {
	mac := p.Master.MAC(keys.PurposeAccountForm, []byte(s.ID))
	return base64.RawURLEncoding.EncodeToString(mac[:])
}

// account shows the account page, or the sign-in page to whom nobody knows.
func (p *Provider) account(w http.ResponseWriter, r *http.Request) {
	s, record, ok, err := p.myAccount(r)
	if err != nil {
		p.oops(w, r, err)
		return
	}
	if !ok {
		p.signInToAccount(w, r, PathAccount, "")
		return
	}
	v, err := p.accountView(r.Context(), s, record)
	if err != nil {
		p.oops(w, r, err)
		return
	}
	if did := AccountDeed(r.URL.Query().Get("did")); did == DidRevoke || did == DidSignOut {
		v.Did = did
	}
	p.Pages.Account(w, r, v)
}

// accountStep is a page of what needs a recent sign-in: its question, or the
// sign-in page before.
func (p *Provider) accountStep(step AccountStep) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, record, ok, err := p.myAccount(r)
		switch {
		case err != nil:
			p.oops(w, r, err)
		case !ok:
			p.signInToAccount(w, r, r.URL.Path, "")
		case !s.Fresh(recently, time.Now()):
			p.signInToAccount(w, r, r.URL.Path, s.Sub)
		default:
			p.Pages.AccountStep(w, r, AccountStepView{Step: step, Number: record.Person.Number.Masked(), Token: p.formToken(s)})
		}
	}
}

// accountDeleted is the page after the end.
func (p *Provider) accountDeleted(w http.ResponseWriter, r *http.Request) {
	p.Pages.AccountStep(w, r, AccountStepView{Step: StepDeleted})
}

// myAccount finds the browser's session, and what is kept about its person.
func (p *Provider) myAccount(r *http.Request) (session.Session, account.Record, bool, error) {
	s, ok, err := p.browserSession(r.Context(), p.Cookies.Session(r))
	if err != nil || !ok {
		return session.Session{}, account.Record{}, false, err
	}
	record, err := p.Accounts.Account(r.Context(), s.Sub)
	if errors.Is(err, subject.ErrNotFound) {
		return session.Session{}, account.Record{}, false, nil
	}
	return s, record, err == nil, err
}

// signInToAccount shows the sign-in page for an account page. sub is who must
// sign in again, "" for anybody. Their number is not filled in: the account page
// shows it masked, and whoever finds the browser signed in must not learn it here,
// nor ask that phone with one press.
func (p *Provider) signInToAccount(w http.ResponseWriter, r *http.Request, then, sub string) {
	q := &authRequest{ClientID: ownClientID, RedirectURI: then, HintSub: sub}
	v, err := p.signInView(r.Context(), q, p.ownClient(), "", p.network(r))
	if err != nil {
		p.oops(w, r, err)
		return
	}
	p.Pages.SignIn(w, r, v)
}

// accountView says what a person sees of their account.
func (p *Provider) accountView(ctx context.Context, here session.Session, record account.Record) (AccountView, error) {
	v := AccountView{
		Name:   nameOf(record.Person),
		Number: record.Person.Number.Masked(), NumberLost: !record.Bound,
		Token: p.formToken(here),
	}
	for _, s := range record.Sessions {
		v.Sessions = append(v.Sessions, SessionView{
			ID: s.ID, Device: s.Device, Country: s.Country, Created: s.Created, LastUsed: s.LastUsed, Here: s.ID == here.ID,
		})
	}
	slices.SortStableFunc(v.Sessions, func(a, b SessionView) int {
		if a.Here != b.Here {
			return map[bool]int{true: -1, false: 1}[a.Here]
		}
		return b.LastUsed.Compare(a.LastUsed)
	})
	var err error
	v.Applications, err = p.applications(ctx, record)
	return v, err
}

// applications are those that have access: by a grant that lives, or because
// they need not ask again.
func (p *Provider) applications(ctx context.Context, record account.Record) ([]ApplicationView, error) {
	clients := map[string]client.Client{}
	found := map[string]*ApplicationView{}
	add := func(clientID string, scopes []string, since, used time.Time) error {
		c, known := clients[clientID]
		if !known {
			var err error
			if c, err = p.Clients.Client(ctx, clientID); errors.Is(err, client.ErrNotFound) {
				c = client.Client{ID: clientID}
			} else if err != nil {
				return err
			}
			clients[clientID] = c
		}
		if c.Follows(used) { // it was another client's, which is gone
			return nil
		}
		a := found[clientID]
		if a == nil {
			a = &ApplicationView{Client: clientView(c), Since: since}
			found[clientID] = a
		}
		for _, scope := range scopes {
			if !slices.Contains(a.Scopes, scope) && c.AllowsScope(scope) {
				a.Scopes = append(a.Scopes, scope)
			}
		}
		if since.Before(a.Since) {
			a.Since = since
		}
		if used.After(a.LastUsed) {
			a.LastUsed = used
		}
		return nil
	}
	for _, k := range record.Consents {
		if err := add(k.ClientID, k.Scopes, k.Created, k.LastUsed); err != nil {
			return nil, err
		}
	}
	for _, g := range record.Grants {
		if g.Revoked {
			continue
		}
		if err := add(g.ClientID, g.Scopes, g.Created, lastUse(g)); err != nil {
			return nil, err
		}
	}
	all := make([]ApplicationView, 0, len(found))
	for _, a := range found {
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b ApplicationView) int {
		return cmp.Or(b.LastUsed.Compare(a.LastUsed), cmp.Compare(a.Client.ID, b.Client.ID))
	})
	return all, nil
}

// lastUse is when a grant last gave tokens.
func lastUse(g grant.Grant) time.Time {
	if g.Rotated.After(g.Created) {
		return g.Rotated
	}
	return g.Created
}
