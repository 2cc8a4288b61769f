package ui

import (
	"errors"
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// signIn takes the number that a person submitted, and goes to the attempt's
// page.
func (h handlers) signIn(w http.ResponseWriter, r *http.Request) error {
	browser := h.browser(w, r)
	id, err := h.flow.Submit(r.Context(), authorize.Submission{
		Request: r.PostForm.Get("request"),
		Phone:   r.PostForm.Get("phone"),
		Region:  r.PostForm.Get("region"),
		Guessed: r.PostForm.Has("guessed") && r.PostForm.Get("guessed") == r.PostForm.Get("region"),
		Browser: browser,
		Network: limit.NetworkOf(h.ClientAddr(r)),

		UserAgent: r.UserAgent(),
		Challenge: r.PostForm.Get("challenge"),
		Solution:  r.PostForm.Get("solution"),
	})
	if err != nil {
		return err
	}
	h.seeOther(w, endpoint.PathAttempt+string(id))
	return nil
}

// browser is the secret of the browser's cookie, which is made when there is
// none. It is written each time, so that the day of its life starts anew.
func (h handlers) browser(w http.ResponseWriter, r *http.Request) string {
	secret := h.Cookies.Browser(r)
	if len(secret) != 43 || !isBase64URL(secret) {
		secret = endpoint.NewSecret()
	}
	h.Cookies.SetBrowser(w, secret)
	return secret
}

// again shows the sign-in page for another try. "Use another number" ends the
// try that is under way: whoever has the wrong phone must not complete it.
func (h handlers) again(w http.ResponseWriter, r *http.Request) error {
	id, err := attemptID(r)
	if err != nil {
		return err
	}
	browser := h.Cookies.Browser(r)
	another := r.PostForm.Has("another")
	if another {
		if err := h.flow.Cancel(r.Context(), id, browser); err != nil {
			return err
		}
	}
	view, err := h.flow.Again(r.Context(), id, browser)
	if errors.Is(err, login.ErrState) { // it was approved meanwhile
		h.seeOther(w, endpoint.PathAttempt+string(id))
		return nil
	}
	if err != nil {
		return err
	}
	if another {
		view.Phone = ""
	}
	h.SignIn(w, r, view)
	return nil
}

// seeOther goes to one of our own paths.
func (u *UI) seeOther(w http.ResponseWriter, path string) {
	h := w.Header()
	h.Set("Location", u.base+path)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}
