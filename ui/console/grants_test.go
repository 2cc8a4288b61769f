// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/ui"
	pages "calleridp/ui/console"
	"calleridp/ui/pagetest"
)

// held are grants in memory, in the order of their IDs.
type held struct{ all []grant.Grant }

func (s *held) Grant(_ context.Context, id string) (grant.Grant, error) {
	for _, g := range s.all {
		if g.ID == id {
			return g, nil
		}
	}
	return grant.Grant{}, grant.ErrNotFound
}

func (s *held) ListGrants(_ context.Context, after string, most int) (page []grant.Grant, err error) {
	for _, g := range s.all {
		if g.ID > after && len(page) < most {
			page = append(page, g)
		}
	}
	return page, nil
}

func (s *held) UseGrant(_ context.Context, id string, use func(grant.Grant) grant.Redemption) (grant.Redemption, error) {
	i := slices.IndexFunc(s.all, func(g grant.Grant) bool { return g.ID == id })
	r := use(s.all[i])
	s.all[i].Revoked = true
	return r, nil
}

// List returns what the filter offers.
func (o one) List(context.Context) ([]client.Client, error) { return []client.Client{o.c}, nil }

// grantsOf returns a console over 120 grants of shop and one of wiki, and its audit.
func grantsOf(t *testing.T, scopes ...apikey.Scope) (http.Handler, *held, *bytes.Buffer) {
	t.Helper()
	now := time.Date(2026, 11, 30, 6, 20, 1, 0, time.UTC)
	s := &held{}
	for i := range 121 {
		g := grant.Grant{ID: fmt.Sprintf("g%03d", i), ClientID: "shop", Sub: "5Q3bY9rKcVxW8eTt2LmZ0g", SID: "s", Scopes: []string{"openid", "phone"}, Created: now, Expires: now.Add(time.Hour)}
		if i == 60 {
			g.ClientID, g.Offline = "wiki", true
		}
		s.all = append(s.all, g)
	}
	var recorded bytes.Buffer
	log := slog.New(slog.DiscardHandler)
	api := admin.New(admin.Config{Grants: s, Clients: one{c: client.Client{ID: "shop", Name: "<Shop>"}}, Log: log,
		Audit: audit.Log(slog.New(slog.NewTextHandler(&recorded, nil)), nil)})
	return pages.Handler(pages.Config{Door: door{scopes: scopes}, API: api, Tokens: ui.Tokens(), Log: log}), s, &recorded
}

// An operator pages through all grants or those of a client; revoking one is audited and
// leads back to the list.
func TestGrantsPage(t *testing.T) {
	h, s, recorded := grantsOf(t, apikey.GrantsRead, apikey.GrantsWrite, apikey.ClientsRead)
	rows := func(page string) int { return strings.Count(page, `<th scope="row"`) }
	at, seen, pagesSeen := "/console/grants?client=shop", 0, 0
	for range 9 {
		got := draw(t, at, h.ServeHTTP)
		pagetest.Want(t, got, 200, `value="shop"`, "2026-11-30 06:20 UTC", "openid phone", `<option value="shop">&lt;Shop&gt;</option>`, `aria-current="page">Grants</a>`)
		seen, pagesSeen = seen+rows(got.Body.String()), pagesSeen+1
		_, next, more := strings.Cut(got.Body.String(), `<p class="more"><a class="button" href="`)
		if !more {
			break
		}
		at, _, _ = strings.Cut(next, `"`)
		at = html.UnescapeString(at)
	}
	if seen != 120 || pagesSeen != 3 {
		t.Errorf("got %d grants of shop on %d pages, want 120 on 3", seen, pagesSeen)
	}
	wiki := draw(t, "/console/grants?client=wiki", h.ServeHTTP)
	pagetest.Want(t, wiki, 200, `data-label="Offline">yes<`, `name="id" value="g060"`)
	if n := rows(wiki.Body.String()); n != 1 {
		t.Errorf("got %d grants of wiki, want 1", n)
	}
	pagetest.Want(t, draw(t, "/console/grants?client=other", h.ServeHTTP), 200, "This client has no grants.")

	form := url.Values{"token": {"t"}, "id": {"g060"}, "client": {"wiki"}}.Encode()
	r := httptest.NewRequest("POST", "/console/grants/revoke", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != "/console/grants?client=wiki&did=grantgone" || !s.all[60].Revoked {
		t.Errorf("revoked: got %d to %q, revoked %v", w.Code, to, s.all[60].Revoked)
	}
	if !strings.Contains(recorded.String(), "user.grant_revoked") || !strings.Contains(recorded.String(), "g060") || !strings.Contains(recorded.String(), "client=wiki") {
		t.Errorf("the audit has no line of the revocation:\n%s", recorded)
	}
	pagetest.Want(t, draw(t, "/console/grants?client=wiki&did=grantgone", h.ServeHTTP), 200, "The grant was revoked.", "This client has no grants.")
}

// What an operator may not do is neither offered nor done, and a grant that is gone is said to be.
func TestGrantsNeedTheirScopes(t *testing.T) {
	revoke := func(h http.Handler, id string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/console/grants/revoke", strings.NewReader(url.Values{"token": {"t"}, "id": {id}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	h, s, _ := grantsOf(t, apikey.GrantsRead)
	if page := draw(t, "/console/grants", h.ServeHTTP).Body.String(); strings.Contains(page, "Revoke</button>") || strings.Contains(page, `href="/console/users/`) || strings.Contains(page, "<datalist") {
		t.Errorf("a viewer of grants is offered more:\n%s", page)
	}
	if got := revoke(h, "g001"); got.Code != http.StatusForbidden || s.all[1].Revoked {
		t.Errorf("revoking without grants:write: got %d", got.Code)
	}
	h, _, _ = grantsOf(t, apikey.ClientsRead)
	pagetest.Want(t, draw(t, "/console/grants", h.ServeHTTP), 403, "grants:read")
	if page := draw(t, "/console/clients/shop", h.ServeHTTP).Body.String(); strings.Contains(page, "<h2>Grants</h2>") {
		t.Error("the page of a client counts grants for who may not see them")
	}
	h, _, _ = grantsOf(t, apikey.ClientsRead, apikey.GrantsRead, apikey.GrantsWrite)
	pagetest.Want(t, draw(t, "/console/clients/shop", h.ServeHTTP), 200, `href="/console/grants?client=shop">120 grants</a>`)
	pagetest.Want(t, revoke(h, "unknown"), 404, "there is no grant unknown")
}
