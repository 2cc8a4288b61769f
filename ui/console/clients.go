// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/console"

	"github.com/go-chi/chi/v5"
)

type clientsPage struct {
	Query string
	Items []admin.Client
	Next  string
}

// mostSearched bounds what a search reads.
const mostSearched = 10_000

func (h *handler) clients(w http.ResponseWriter, r *http.Request, s console.Session) error {
	p := clientsPage{Query: strings.TrimSpace(r.URL.Query().Get("q"))}
	if p.Query == "" {
		list, err := h.cfg.API.ListClients(r.Context(), &admin.Paging{Cursor: r.URL.Query().Get("cursor"), Limit: 50})
		if err != nil {
			return err
		}
		p.Items, p.Next = list.Body.Items, list.Body.Next
	} else {
		found, err := all(r.Context(), mostSearched, h.cfg.API.ListClients)
		if err != nil {
			return err
		}
		wanted := strings.ToLower(p.Query)
		p.Items = slices.DeleteFunc(found, func(c admin.Client) bool {
			return !strings.Contains(strings.ToLower(c.ID+"\n"+c.Name+"\n"+strings.Join(c.RedirectURIs, "\n")), wanted)
		})
	}
	h.page(w, r, &s, http.StatusOK, "clients", view{Title: "Clients", Page: p})
	return nil
}

type clientPage struct {
	Client    admin.Client
	Facts     []fact
	Secret    string // only in the response that makes it
	Rotated   bool
	Asked     bool // the confirmation was wrong
	Editable  bool
	Removable bool
	Rotatable bool
	Grants    string // how many live; "" if the operator may not see them
	GrantsAt  string
}

type fact struct {
	Name   string
	Values []string
}

func clientPath(id string) string { return "/console/clients/" + url.PathEscape(id) }

func (h *handler) client(w http.ResponseWriter, r *http.Request, s console.Session) error {
	return h.showClient(w, r, s, http.StatusOK, clientPage{})
}

func (h *handler) showClient(w http.ResponseWriter, r *http.Request, s console.Session, status int, p clientPage) error {
	got, err := h.cfg.API.GetClient(r.Context(), &admin.ClientRef{ID: chi.URLParam(r, "id")})
	if err != nil {
		return err
	}
	p.Client = got.Body
	if (view{Operator: &s}).May("grants:read") {
		if p.Grants, err = h.grantsOf(r, p.Client.ID); err != nil {
			return err
		}
		p.GrantsAt = grantsPath(p.Client.ID)
	}
	h.drawClient(w, r, s, status, p)
	return nil
}

func (h *handler) drawClient(w http.ResponseWriter, r *http.Request, s console.Session, status int, p clientPage) {
	c := p.Client
	v := view{Title: c.Name}
	p.Removable = !c.FromConfig
	p.Editable = !c.FromConfig && !c.Registered && view{Operator: &s}.May("clients:write")
	p.Rotatable = p.Editable && !c.Public && c.AuthMethod != "private_key_jwt"
	p.Facts = factsOf(c)
	v.Page = p
	h.page(w, r, &s, status, "client", v)
}

// factsOf returns what a client has, in the order of the form, by the names of the API.
func factsOf(c admin.Client) []fact {
	values := valuesOf(c)
	facts := []fact{{"client_id", []string{c.ID}}}
	add := func(name, label string) {
		raw, has := values[name]
		if !has {
			return
		}
		delete(values, name)
		if lines := plain(raw); len(lines) > 0 {
			facts = append(facts, fact{label, lines})
		}
	}
	delete(values, "client_id")
	for _, hidden := range []string{"client_secret", "from_config", "registered", "warnings"} {
		delete(values, hidden)
	}
	for _, g := range clientGroups {
		for _, f := range g.Fields {
			add(f.Key, f.Label)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		add(name, name)
	}
	return facts
}

func valuesOf(c admin.Client) map[string]json.RawMessage {
	values := map[string]json.RawMessage{}
	raw, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(raw, &values)
	}
	if err != nil {
		panic("console: a client is not readable: " + err.Error()) // of the API's own type
	}
	return values
}

// plain returns a value for a page: a text, each of a list, or JSON.
func plain(raw json.RawMessage) []string {
	var text string
	var list []string
	switch {
	case string(raw) == "false" || string(raw) == "null":
		return nil
	case string(raw) == "true":
		return []string{"yes"}
	case json.Unmarshal(raw, &text) == nil:
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return []string{shownTime(at)}
		}
		return []string{text}
	case json.Unmarshal(raw, &list) == nil:
		return list
	}
	return []string{string(raw)}
}

func (h *handler) rotateSecret(w http.ResponseWriter, r *http.Request, s console.Session) error {
	in := &admin.ClientAction{ClientRef: admin.ClientRef{ID: chi.URLParam(r, "id")}}
	got, err := h.cfg.API.RotateClientSecret(r.Context(), in)
	if err != nil {
		return err
	}
	secret := got.Body.Secret
	got.Body.Secret = ""
	h.drawClient(w, r, s, http.StatusOK, clientPage{Client: got.Body, Secret: secret, Rotated: true})
	return nil
}

func (h *handler) removeClient(w http.ResponseWriter, r *http.Request, s console.Session) error {
	id := chi.URLParam(r, "id")
	if strings.TrimSpace(r.PostForm.Get("confirm")) != id {
		return h.showClient(w, r, s, http.StatusUnprocessableEntity, clientPage{Asked: true})
	}
	if _, err := h.cfg.API.RemoveClient(r.Context(), &admin.ClientRef{ID: id}); err != nil {
		return err
	}
	return done(w, r, "/console/clients", "removed")
}

func (h *handler) newClient(w http.ResponseWriter, r *http.Request, s console.Session) error {
	h.drawForm(w, r, s, http.StatusOK, clientForm{New: true, values: map[string]string{}}, nil)
	return nil
}

func (h *handler) addClient(w http.ResponseWriter, r *http.Request, s console.Session) error {
	form := readForm(r)
	form.New = true
	patch, err := form.patch()
	var added *admin.Added[admin.Client]
	if err == nil {
		var c admin.Client
		if c, err = clientOf(patch); err == nil {
			added, err = h.cfg.API.AddClient(r.Context(), &admin.NewClient{Body: c})
		}
	}
	if told, status := refusal(err); told != nil {
		h.drawForm(w, r, s, status, form, err)
		return nil
	}
	if err != nil {
		return err
	}
	secret := added.Body.Secret
	added.Body.Secret = ""
	h.drawClient(w, r, s, http.StatusOK, clientPage{Client: added.Body, Secret: secret})
	return nil
}

// clientOf makes a client of what a form says.
func clientOf(patch admin.Patch) (c admin.Client, err error) {
	given := maps.Collect(maps.All(patch))
	maps.DeleteFunc(given, func(_ string, raw json.RawMessage) bool { return string(raw) == "null" })
	raw, err := json.Marshal(given)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		return c, fmt.Errorf("console: the form is not a valid client: %w", err)
	}
	return c, nil
}

func (h *handler) editClient(w http.ResponseWriter, r *http.Request, s console.Session) error {
	got, err := h.cfg.API.GetClient(r.Context(), &admin.ClientRef{ID: chi.URLParam(r, "id")})
	if err != nil {
		return err
	}
	h.drawForm(w, r, s, http.StatusOK, formOf(got.Body, got.ETag), nil)
	return nil
}

// saveClient changes what the form has, if the client is still as the form was made from.
func (h *handler) saveClient(w http.ResponseWriter, r *http.Request, s console.Session) error {
	form := readForm(r)
	form.ID = chi.URLParam(r, "id")
	patch, err := form.patch()
	var saved *admin.Reply[admin.Client]
	if err == nil {
		saved, err = h.cfg.API.EditClient(r.Context(), &admin.PatchClient{ClientRef: admin.ClientRef{ID: form.ID}, IfMatch: form.ETag, Body: patch})
	}
	if told, status := refusal(err); told != nil {
		h.drawForm(w, r, s, status, form, err)
		return nil
	}
	if err != nil {
		return err
	}
	if secret := saved.Body.Secret; secret != "" {
		saved.Body.Secret = ""
		h.drawClient(w, r, s, http.StatusOK, clientPage{Client: saved.Body, Secret: secret})
		return nil
	}
	return done(w, r, clientPath(form.ID), "saved")
}
