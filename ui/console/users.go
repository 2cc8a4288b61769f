// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"net/url"
	"strings"

	"calleridp/provider/admin"
	"calleridp/provider/console"
	"calleridp/provider/subject"

	"github.com/go-chi/chi/v5"
)

type usersPage struct {
	Items []admin.UserSummary
	Next  string
}

type userPage struct {
	User  admin.User
	Asked bool // the confirmation was wrong
}

func (h *handler) users(w http.ResponseWriter, r *http.Request, s console.Session) error {
	list, err := h.cfg.API.ListUsers(r.Context(), &admin.Paging{Cursor: r.URL.Query().Get("cursor"), Limit: 50})
	if err != nil {
		return err
	}
	h.page(w, r, &s, http.StatusOK, "users", view{Title: "Users", Page: usersPage{list.Body.Items, list.Body.Next}})
	return nil
}

// pathOf returns the page of a user.
func pathOf(sub string) string { return "/console/users/" + url.PathEscape(sub) }

// findUser looks a number up, which travels in the body alone, and leads to an address
// with the sub.
func (h *handler) findUser(w http.ResponseWriter, r *http.Request, s console.Session) error {
	found, err := h.cfg.API.FindUser(r.Context(), &admin.UserQuery{Body: admin.UserWith{Number: r.PostForm.Get("number")}})
	if told, status := refusal(err); told != nil {
		h.page(w, r, &s, status, "users", view{Title: "Users", Page: usersPage{}, Problem: told})
		return nil
	}
	if err != nil {
		return err
	}
	return done(w, r, pathOf(found.Body.Sub), "")
}

// goToUser leads to an address with the sub. Nothing else becomes one: it may be a phone
// number, typed into the wrong field.
func (h *handler) goToUser(w http.ResponseWriter, r *http.Request, s console.Session) error {
	sub := strings.TrimSpace(r.PostForm.Get("sub"))
	if !subject.IsSub(sub) {
		told := &problem{Detail: "That is no sub, which has 22 letters, digits, - and _. For a phone number, use the other field."}
		h.page(w, r, &s, http.StatusUnprocessableEntity, "users", view{Title: "Users", Page: usersPage{}, Problem: told})
		return nil
	}
	return done(w, r, pathOf(sub), "")
}

func (h *handler) user(w http.ResponseWriter, r *http.Request, s console.Session) error {
	return h.showUser(w, r, s, http.StatusOK, false)
}

func (h *handler) showUser(w http.ResponseWriter, r *http.Request, s console.Session, status int, asked bool) error {
	found, err := h.cfg.API.GetUser(r.Context(), &admin.UserRef{Sub: chi.URLParam(r, "sub")})
	if err != nil {
		return err
	}
	h.page(w, r, &s, status, "user", view{Title: "User " + found.Body.Number, Page: userPage{User: found.Body, Asked: asked}})
	return nil
}

func (h *handler) signOutUser(w http.ResponseWriter, r *http.Request, _ console.Session) error {
	sub := chi.URLParam(r, "sub")
	if _, err := h.cfg.API.SignOutUser(r.Context(), &admin.UserAction{UserRef: admin.UserRef{Sub: sub}}); err != nil {
		return err
	}
	return done(w, r, pathOf(sub), "signout")
}

func (h *handler) eraseUser(w http.ResponseWriter, r *http.Request, s console.Session) error {
	if r.PostForm.Get("confirm") != "erase" {
		return h.showUser(w, r, s, http.StatusUnprocessableEntity, true)
	}
	if _, err := h.cfg.API.DeleteUser(r.Context(), &admin.UserRef{Sub: chi.URLParam(r, "sub")}); err != nil {
		return err
	}
	return done(w, r, "/console/users", "erased")
}

func (h *handler) revokeApplication(w http.ResponseWriter, r *http.Request, _ console.Session) error {
	sub := chi.URLParam(r, "sub")
	in := &admin.UserClient{UserRef: admin.UserRef{Sub: sub}, ClientRef: admin.ClientRef{ID: r.PostForm.Get("client")}}
	if _, err := h.cfg.API.RevokeApplication(r.Context(), in); err != nil {
		return err
	}
	return done(w, r, pathOf(sub), "revoked")
}

func (h *handler) endSession(w http.ResponseWriter, r *http.Request, _ console.Session) error {
	if _, err := h.cfg.API.EndSession(r.Context(), &admin.SessionRef{SID: r.PostForm.Get("sid")}); err != nil {
		return err
	}
	return done(w, r, pathOf(chi.URLParam(r, "sub")), "ended")
}
