// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"calleridp/provider/admin"
	"calleridp/provider/console"
)

type grantsPage struct {
	Client string         // the filter
	Known  []admin.Client // what is offered for it
	Items  []admin.Grant
	Next   string // the address of the next page
}

// mostOffered is how many clients the filter offers by itself.
const mostOffered = 500

// grantsPath returns the page with the grants of a client, or of all for "".
func grantsPath(clientID string, more ...string) string {
	q := url.Values{}
	if clientID != "" {
		q.Set("client", clientID)
	}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	if len(q) == 0 {
		return "/console/grants"
	}
	return "/console/grants?" + q.Encode()
}

// grants lists what clients have of users, of one client or of all.
func (h *handler) grants(w http.ResponseWriter, r *http.Request, s console.Session) error {
	p := grantsPage{Client: strings.TrimSpace(r.URL.Query().Get("client"))}
	list, err := h.cfg.API.ListGrants(r.Context(), &admin.GrantsQuery{
		Paging: admin.Paging{Cursor: r.URL.Query().Get("cursor"), Limit: 50}, ClientID: p.Client})
	if err != nil {
		return err
	}
	p.Items = list.Body.Items
	if list.Body.Next != "" {
		p.Next = grantsPath(p.Client, "cursor", list.Body.Next)
	}
	if (view{Operator: &s}).May("clients:read") {
		known, err := h.cfg.API.ListClients(r.Context(), &admin.Paging{Limit: mostOffered})
		if err != nil {
			return err
		}
		p.Known = known.Body.Items
	}
	h.page(w, r, &s, http.StatusOK, "grants", view{Title: "Grants", Page: p})
	return nil
}

// revokeGrant revokes one grant, and leads back to the list that it was on.
func (h *handler) revokeGrant(w http.ResponseWriter, r *http.Request, _ console.Session) error {
	if _, err := h.cfg.API.RevokeGrant(r.Context(), &admin.GrantRef{ID: r.PostForm.Get("id")}); err != nil {
		return err
	}
	http.Redirect(w, r, grantsPath(r.PostForm.Get("client"), "did", "grantgone"), http.StatusSeeOther)
	return nil
}

// grantsOf says how many grants of a client live, for its page: exactly, if they are few.
func (h *handler) grantsOf(r *http.Request, clientID string) (string, error) {
	list, err := h.cfg.API.ListGrants(r.Context(), &admin.GrantsQuery{Paging: admin.Paging{Limit: 500}, ClientID: clientID})
	if err != nil {
		return "", err
	}
	n := strconv.Itoa(len(list.Body.Items))
	if list.Body.Next != "" {
		return n + " or more", nil
	}
	return n, nil
}
