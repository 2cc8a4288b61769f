// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"slices"

	"calleridp/provider/admin"
	"calleridp/provider/console"
)

type keysPage struct {
	Items      any
	Algorithms []string
}

func (h *handler) keys(w http.ResponseWriter, r *http.Request, s console.Session) error {
	list, err := h.cfg.API.ListKeys(r.Context(), nil)
	if err != nil {
		return err
	}
	p := keysPage{Items: list.Body.Items}
	for _, k := range list.Body.Items {
		if !slices.Contains(p.Algorithms, k.Algorithm) {
			p.Algorithms = append(p.Algorithms, k.Algorithm)
		}
	}
	h.page(w, r, &s, http.StatusOK, "keys", view{Title: "Signing keys", Page: p})
	return nil
}

func (h *handler) rotateKeys(w http.ResponseWriter, r *http.Request, _ console.Session) error {
	in := &admin.Rotation{Alg: r.PostForm.Get("alg"), Force: r.PostForm.Get("force") == "true"}
	if _, err := h.cfg.API.RotateKeys(r.Context(), in); err != nil {
		return err
	}
	return done(w, r, "/console/keys", "rotated")
}

func (h *handler) removeKey(w http.ResponseWriter, r *http.Request, _ console.Session) error {
	if _, err := h.cfg.API.RemoveKey(r.Context(), &admin.KeyID{KID: r.PostForm.Get("kid")}); err != nil {
		return err
	}
	return done(w, r, "/console/keys", "keygone")
}
