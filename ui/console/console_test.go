// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/client"
	"calleridp/provider/console"
	"calleridp/provider/funnel"
	pages "calleridp/ui/console"
)

// door lets everybody in with these scopes.
type door struct {
	pages.Door
	scopes []apikey.Scope
}

func (d door) Session(http.ResponseWriter, *http.Request) (console.Session, error) {
	return console.Session{Who: "somebody", Role: console.Key, Scopes: d.scopes, Token: "t"}, nil
}

func (door) Issuer() string { return "https://id.example.com" }

// counts is a funnel that must not be read.
type counts struct{ t *testing.T }

func (c counts) Funnel(context.Context, funnel.Unit, time.Time, time.Time) ([]funnel.Period, error) {
	c.t.Error("the funnel was read")
	return nil, nil
}

func handler(t *testing.T, scopes ...apikey.Scope) http.Handler {
	return pages.Handler(pages.Config{
		Door:   door{scopes: scopes},
		API:    admin.New(admin.Config{}),
		Funnel: counts{t},
		Health: func(context.Context) []pages.Fact { t.Error("the health was read"); return nil },
		Log:    slog.New(slog.DiscardHandler),
	})
}

// The overview is for those who may read the status: an API key without that scope sees
// nothing of it, and comes to a page that it is for.
func TestOverviewNeedsItsScope(t *testing.T) {
	for _, row := range []struct {
		scopes []apikey.Scope
		status int
		to     string
	}{
		{[]apikey.Scope{apikey.UsersRead, apikey.LimitsRead}, http.StatusSeeOther, "/console/users"},
		{[]apikey.Scope{apikey.BackupsWrite}, http.StatusForbidden, ""},
	} {
		w := httptest.NewRecorder()
		handler(t, row.scopes...).ServeHTTP(w, httptest.NewRequest("GET", "/console/", nil))
		if w.Code != row.status || w.Header().Get("Location") != row.to {
			t.Errorf("%v: got %d to %q, want %d to %q", row.scopes, w.Code, w.Header().Get("Location"), row.status, row.to)
		}
	}
}

// What an operator types for a sub may be a phone number by mistake: it gets into no address,
// and the page does not repeat it.
func TestInvariant10_NoNumberBecomesAnAddress(t *testing.T) {
	for _, typed := range []string{"+46701740605", "0701740605", "../clients/new"} {
		form := url.Values{"token": {"t"}, "sub": {typed}}.Encode()
		r := httptest.NewRequest("POST", "/console/users/sub", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler(t, apikey.UsersRead).ServeHTTP(w, r)
		if w.Code != http.StatusUnprocessableEntity || w.Header().Get("Location") != "" || strings.Contains(w.Body.String(), typed) {
			t.Errorf("%s: got %d to %q", typed, w.Code, w.Header().Get("Location"))
		}
	}
	const sub = "5Q3bY9rKcVxW8eTt2LmZ0g"
	r := httptest.NewRequest("POST", "/console/users/sub", strings.NewReader(url.Values{"token": {"t"}, "sub": {" " + sub}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	handler(t, apikey.UsersRead).ServeHTTP(w, r)
	if w.Header().Get("Location") != "/console/users/"+sub {
		t.Errorf("a sub leads to %d %q", w.Code, w.Header().Get("Location"))
	}
}

// one is a registry with one client.
type one struct {
	admin.Clients
	c client.Client
}

func (o one) Client(context.Context, string) (client.Client, error) { return o.c, nil }

// A form that is saved as it was drawn changes nothing: a choice has what the client has,
// also what the form does not offer by itself.
func TestFormsOfferWhatAClientHas(t *testing.T) {
	for _, method := range []client.AuthMethod{"", client.AuthBasic, client.AuthPost, client.AuthSecretJWT, client.AuthPrivateKeyJWT, "of_a_newer_version"} {
		h := pages.Handler(pages.Config{
			Door: door{scopes: []apikey.Scope{apikey.ClientsRead, apikey.ClientsWrite}},
			API:  admin.New(admin.Config{Clients: one{c: client.Client{ID: "shop", Name: "Shop", AuthMethod: method}}}),
			Log:  slog.New(slog.DiscardHandler),
		})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/console/clients/shop/edit", nil))
		if want := `<option value="` + string(method) + `" selected>`; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: %d, and no %s", method, w.Code, want)
		}
	}
}
