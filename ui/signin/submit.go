package signin

import (
	"encoding/json"
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// submit takes the number that the user submitted, and goes to the attempt's page.
func (m mounted) submit(w http.ResponseWriter, r *http.Request) error {
	form := r.PostForm
	id, err := m.flow.Submit(r.Context(), authorize.Submission{
		Request:   form.Get("request"),
		Phone:     form.Get("phone"),
		Region:    form.Get("region"),
		Guessed:   form.Has("guessed") && form.Get("guessed") == form.Get("region"),
		Confirmed: form.Get("confirmed"),
		Browser:   m.ensureBrowser(w, r),
		Network:   limit.NetworkOf(m.cfg.ClientAddr(r)),
		UserAgent: r.UserAgent(),
		Challenge: form.Get("challenge"),
		Solution:  form.Get("solution"),
	})
	if err != nil {
		return err
	}
	m.seeAttempt(w, id)
	return nil
}

// ensureBrowser returns the secret of the browser's cookie, and makes one if there is
// none. It sets the cookie each time, which renews its lifetime of a day.
func (h *Handlers) ensureBrowser(w http.ResponseWriter, r *http.Request) login.BrowserSecret {
	secret := h.cfg.Cookies.Browser(r)
	if len(secret) != 43 || !isBase64URL(string(secret)) {
		secret = login.NewBrowserSecret()
	}
	h.cfg.Cookies.SetBrowser(w, secret)
	return secret
}

// startOneTap takes the form that the browser posted when it opened the link.
func (m mounted) startOneTap(w http.ResponseWriter, r *http.Request) error {
	request := r.PostForm.Get("request")
	started, err := m.flow.StartOneTap(r.Context(), authorize.OneTapSubmission{
		Request:   request,
		Nonce:     r.PostForm.Get("nonce"),
		Browser:   m.ensureBrowser(w, r),
		Network:   limit.NetworkOf(m.cfg.ClientAddr(r)),
		UserAgent: r.UserAgent(),
	})
	if err != nil {
		return err
	}
	if r.Header.Get("Accept") != "application/json" {
		m.seeAttempt(w, started.Attempt)
		return nil
	}
	// The page stays open and gets another link, for another attempt. If the link that
	// it has opened is not this attempt's, it goes on to the page with the right one.
	next, err := m.flow.NewOneTap(r.Context(), request)
	if err != nil {
		return err
	}
	response := struct {
		Attempt   string `json:"attempt"`
		OtherLink bool   `json:"other_link,omitempty"`
		Nonce     string `json:"nonce,omitempty"`
		Link      string `json:"link,omitempty"`
	}{
		Attempt:   m.cfg.Base + endpoint.PathAttempt + string(started.Attempt),
		OtherLink: started.OtherLink,
	}
	if next != nil {
		response.Nonce, response.Link = next.Nonce, next.Link(r.PostForm.Get("lang"))
	}
	scriptHeaders(w, "application/json")
	json.NewEncoder(w).Encode(response) // an error means that the browser has gone
	return nil
}
