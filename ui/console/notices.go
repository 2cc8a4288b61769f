// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"

	"calleridp/provider/admin"
	"calleridp/provider/console"
)

type noticesPage struct {
	Items []admin.Receiver
	Next  string
}

func (h *handler) notices(w http.ResponseWriter, r *http.Request, s console.Session) error {
	list, err := h.cfg.API.ListNotices(r.Context(), &admin.Paging{Cursor: r.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	h.page(w, r, &s, http.StatusOK, "notices", view{Title: "Logout notices", Page: noticesPage{list.Body.Items, list.Body.Next}})
	return nil
}

func (h *handler) retryNotices(w http.ResponseWriter, r *http.Request, _ console.Session) error {
	in := &admin.ClientAction{ClientRef: admin.ClientRef{ID: r.PostForm.Get("client")}}
	if _, err := h.cfg.API.RetryNotices(r.Context(), in); err != nil {
		return err
	}
	return done(w, r, "/console/notices", "retried")
}

func (h *handler) dropNotices(w http.ResponseWriter, r *http.Request, _ console.Session) error {
	if _, err := h.cfg.API.DropNotices(r.Context(), &admin.ClientRef{ID: r.PostForm.Get("client")}); err != nil {
		return err
	}
	return done(w, r, "/console/notices", "dropped")
}
