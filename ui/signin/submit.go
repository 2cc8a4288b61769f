// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"encoding/json"
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
)

// submit takes the number that the user submitted, and goes to the attempt's page.
func (m mounted) submit(w http.ResponseWriter, r *http.Request) error {
	form := r.PostForm
	browser, err := m.browserFor(r, form.Get("phone"))
	if err != nil {
		return err
	}
	id, err := m.flow.Submit(r.Context(), authorize.Submission{
		Request:   form.Get("request"),
		Phone:     form.Get("phone"),
		Known:     form.Has("known"),
		Region:    form.Get("region"),
		Guessed:   form.Has("guessed") && form.Get("guessed") == form.Get("region"),
		Confirmed: form.Get("confirmed"),
		Browser:   browser.Secret,
		Before:    m.cfg.Cookies.Browser(r).Secrets(),
		Network:   limit.NetworkOf(m.cfg.ClientAddr(r)),
		UserAgent: r.UserAgent(),
		Devices:   m.cfg.Cookies.Devices(r),
		Challenge: form.Get("challenge"),
		Solution:  form.Get("solution"),
	})
	if err != nil {
		return err
	}
	m.cfg.Cookies.SetBrowser(w, browser)
	m.seeAttempt(w, id)
	return nil
}

// browserFor returns the cookie under which a form starts an attempt. input is what
// the form sends beside its sealed request.
func (m mounted) browserFor(r *http.Request, input string) (endpoint.BrowserCookie, error) {
	cookie := m.cfg.Cookies.Browser(r)
	secret, err := m.flow.BrowserFor(r.Context(), authorize.SentForm{
		Cookie:  cookie.Secret,
		Request: r.PostForm.Get("request"),
		Input:   input,
		Network: limit.NetworkOf(m.cfg.ClientAddr(r)),
		Region:  r.PostForm.Get("region"),
		Devices: m.cfg.Cookies.Devices(r),
	})
	return cookie.Renewed(secret), err
}

// startOneTap takes the form that the browser posted when it opened the link.
func (m mounted) startOneTap(w http.ResponseWriter, r *http.Request) error {
	request := r.PostForm.Get("request")
	browser, err := m.browserFor(r, r.PostForm.Get("nonce"))
	if err != nil {
		return err
	}
	started, err := m.flow.StartOneTap(r.Context(), authorize.OneTapSubmission{
		Request:   request,
		Nonce:     r.PostForm.Get("nonce"),
		Browser:   browser.Secret,
		Network:   limit.NetworkOf(m.cfg.ClientAddr(r)),
		UserAgent: r.UserAgent(),
	})
	if err != nil {
		return err
	}
	m.cfg.Cookies.SetBrowser(w, browser)
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
