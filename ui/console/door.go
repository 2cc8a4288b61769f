// SPDX-License-Identifier: Apache-2.0

package console

import (
	"errors"
	"net/http"
	"strings"

	"calleridp/provider/console"
)

// pathBegin sends the browser to the issuer.
const pathBegin = console.PathSignIn + "/start"

// pathKey takes an API key in place of a sign-in.
const pathKey = console.PathSignIn + "/key"

func (h *handler) signIn(w http.ResponseWriter, r *http.Request) {
	if _, err := h.cfg.Door.Session(w, r); err == nil {
		http.Redirect(w, r, console.PathHome, http.StatusSeeOther)
		return
	}
	h.page(w, r, nil, http.StatusOK, "signin", view{Title: "Sign in"})
}

// signInByKey exchanges an API key for a session. The page of the form has no session, so
// there is no token: who makes an operator's browser use another key is refused by its
// origin, and would show them no more than that key may see.
func (h *handler) signInByKey(w http.ResponseWriter, r *http.Request) {
	k, err := h.cfg.API.Authenticate(r, strings.TrimSpace(r.PostFormValue("key")))
	if told, status := refusal(err); told != nil {
		h.page(w, r, nil, status, "signin", view{Title: "Sign in", Problem: told})
		return
	}
	if err == nil {
		err = h.cfg.Door.UseKey(w, r, k)
	}
	if err != nil {
		h.fail(w, r, nil, err)
		return
	}
	http.Redirect(w, r, console.PathHome, http.StatusSeeOther)
}

func (h *handler) begin(w http.ResponseWriter, r *http.Request) {
	if err := h.cfg.Door.Begin(w, r); err != nil {
		h.fail(w, r, nil, err)
	}
}

// callback answers with a page that goes on by itself: a redirect would belong to the
// navigation that began at the issuer, and the browser would withhold the Strict cookie.
func (h *handler) callback(w http.ResponseWriter, r *http.Request) {
	const again = "Try again"
	switch err := h.cfg.Door.Callback(w, r); {
	case err == nil:
		h.page(w, r, nil, http.StatusOK, "message", view{
			Title: "Signed in", Refresh: console.PathHome,
			Page: message{Text: "You are signed in.", To: console.PathHome, Link: "To the console"},
		})
	case errors.Is(err, console.ErrNotListed):
		h.message(w, r, http.StatusForbidden, "Not an operator",
			"Your number is not on this server's list of operators (console.numbers in its configuration).", console.PathSignIn, again)
	case errors.Is(err, console.ErrAnotherUser):
		h.message(w, r, http.StatusForbidden, "Not the operator",
			"Your number is on the list of operators, and belonged to another user when it was used here first. "+
				"If it is yours, have your sub added to console.subs in the configuration; the audit has it.", console.PathSignIn, again)
	case errors.Is(err, console.ErrDeclined):
		h.message(w, r, http.StatusOK, "Not signed in", "The sign-in was not completed.", console.PathSignIn, again)
	case errors.Is(err, console.ErrFlow):
		h.message(w, r, http.StatusBadRequest, "Not signed in", "This sign-in was not begun in this browser, or has been used or taken too long.", console.PathSignIn, again)
	default:
		h.fail(w, r, nil, err)
	}
}

func (h *handler) signOut(w http.ResponseWriter, r *http.Request, s console.Session) error {
	if err := h.cfg.Door.SignOut(w, r, s); err != nil {
		return err
	}
	return done(w, r, console.PathSignIn, "")
}
