// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/console"
)

type apiKeysPage struct {
	Items  []admin.APIKey
	Next   string
	Scopes []scopeChoice // what the operator may give to a key
	Lives  []option
	Key    string // only in the response that makes it
	Name   string
}

type scopeChoice struct {
	Name   string
	Chosen bool
}

// keyLives are for how long a key may be made, in days.
var keyLives = []option{{"1", "A day"}, {"7", "A week"}, {"30", "A month"}, {"90", "Three months"}, {"365", "A year"}}

func (h *handler) apiKeys(w http.ResponseWriter, r *http.Request, s console.Session) error {
	return h.showAPIKeys(w, r, s, http.StatusOK, apiKeysPage{}, nil)
}

func (h *handler) showAPIKeys(w http.ResponseWriter, r *http.Request, s console.Session, status int, p apiKeysPage, told *problem) error {
	list, err := h.cfg.API.ListAPIKeys(r.Context(), &admin.Paging{Cursor: r.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	p.Items, p.Next, p.Lives = list.Body.Items, list.Body.Next, keyLives
	for _, scope := range s.Scopes {
		p.Scopes = append(p.Scopes, scopeChoice{string(scope), slices.Contains(r.PostForm["scope"], string(scope)) && told != nil})
	}
	h.page(w, r, &s, status, "apikeys", view{Title: "API keys", Page: p, Problem: told})
	return nil
}

func (h *handler) addAPIKey(w http.ResponseWriter, r *http.Request, s console.Session) error {
	days, err := strconv.Atoi(r.PostForm.Get("days"))
	if err != nil || days < 1 || days > 366 {
		days = 1
	}
	in := &admin.NewAPIKey{}
	in.Body.Name, in.Body.Scopes = r.PostForm.Get("name"), r.PostForm["scope"]
	in.Body.ExpiresIn = int64(time.Duration(days) * 24 * time.Hour / time.Second)
	added, err := h.cfg.API.AddAPIKey(r.Context(), in)
	if told, status := refusal(err); told != nil {
		return h.showAPIKeys(w, r, s, status, apiKeysPage{Name: in.Body.Name}, told)
	}
	if err != nil {
		return err
	}
	return h.showAPIKeys(w, r, s, http.StatusOK, apiKeysPage{Key: added.Body.Key}, nil)
}

func (h *handler) removeAPIKey(w http.ResponseWriter, r *http.Request, _ console.Session) error {
	if _, err := h.cfg.API.RemoveAPIKey(r.Context(), &admin.APIKeyRef{ID: r.PostForm.Get("id")}); err != nil {
		return err
	}
	return done(w, r, "/console/api-keys", "apikey")
}
