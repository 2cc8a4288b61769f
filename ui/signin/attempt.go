// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"errors"
	"net/http"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/ui/page"
)

// attempt shows the state of an attempt.
func (m mounted) attempt(w http.ResponseWriter, r *http.Request) error {
	id, browser, err := m.attemptOf(r)
	if err != nil {
		return err
	}
	view, err := m.flow.Open(r.Context(), id, browser)
	if err != nil {
		return err
	}
	switch {
	case view.State == login.Done:
		return errFinished
	case view.State == login.Approved && (byHand(r) || !page.IsWeb(view.FormAction)):
		m.cfg.Pages.Approved(w, r, view)
	case view.State == login.Approved:
		m.seeOther(w, endpoint.PathAttempt+string(id)+endpoint.AttemptContinue)
	case view.State.Terminal():
		m.cfg.Pages.Ended(w, r, view)
	default:
		m.cfg.Pages.Waiting(w, r, view)
	}
	return nil
}

// byHand reports whether the request follows from an action of the user, such as
// submitting a form. Browsers apply the form-action of a page's CSP to every redirect
// that follows its form: to the client's page, and to wherever that redirects. A page
// of ours in between ends that chain.
func byHand(r *http.Request) bool { return r.Header.Get("Sec-Fetch-User") == "?1" }

// proceed uses an approved attempt and goes to the client. A waiting page says which
// request it has shown.
func (m mounted) proceed(w http.ResponseWriter, r *http.Request) error {
	id, browser, err := m.attemptOf(r)
	if err != nil {
		return err
	}
	if shown := r.URL.Query().Get("for"); shown != "" {
		serves, err := m.flow.Serves(r.Context(), id, browser, shown)
		if err != nil {
			return err
		}
		if !serves {
			return errFinished
		}
	}
	done, err := m.flow.Continue(r.Context(), id, browser, m.cfg.Cookies.Session(r))
	if errors.Is(err, login.ErrState) {
		return m.notApproved(w, r, id, browser)
	}
	if err != nil {
		return err
	}
	if done.Session != "" { // none if the approving user is not the one whom the client expects
		m.cfg.Cookies.SetSession(w, done.Session, done.State, done.Expires)
		devices, err := m.flow.Remember(r.Context(), id, browser, m.cfg.Cookies.Devices(r))
		if err != nil {
			return err
		}
		m.cfg.Cookies.SetDevices(w, devices, authorize.DeviceLife)
	}
	// A response that is given again comes under the secret of before.
	if cookie := m.cfg.Cookies.Browser(r); done.Browser != "" && cookie.Secret == browser {
		m.cfg.Cookies.SetBrowser(w, cookie.Renewed(done.Browser))
	}
	if done.Consent != nil {
		m.cfg.Pages.Consent(w, r, *done.Consent)
		return nil
	}
	done.Response.Write(w, r, m.cfg.Pages)
	return nil
}

// notApproved responds to a browser that continues too early or too late.
func (m mounted) notApproved(w http.ResponseWriter, r *http.Request, id login.ID, browser login.BrowserSecret) error {
	view, err := m.flow.View(r.Context(), id, browser)
	if err != nil {
		return err
	}
	if view.State == login.Done {
		return errFinished
	}
	m.seeAttempt(w, id)
	return nil
}

// cancel ends the attempt at the user's request.
func (m mounted) cancel(w http.ResponseWriter, r *http.Request) error {
	id, browser, err := m.attemptOf(r)
	if err != nil {
		return err
	}
	if err := m.flow.Cancel(r.Context(), id, browser); err != nil {
		return err
	}
	m.seeAttempt(w, id)
	return nil
}

// again shows the sign-in page for another attempt. "Use another number" ends the
// attempt that is under way, because the user of the wrong phone must not complete it.
func (m mounted) again(w http.ResponseWriter, r *http.Request) error {
	id, browser, err := m.attemptOf(r)
	if err != nil {
		return err
	}
	another := r.PostForm.Has("another")
	if another {
		if err := m.flow.Cancel(r.Context(), id, browser); err != nil {
			return err
		}
	}
	view, err := m.flow.Again(r.Context(), id, browser, another)
	if errors.Is(err, login.ErrState) { // it was approved meanwhile
		m.seeAttempt(w, id)
		return nil
	}
	if err != nil {
		return err
	}
	m.cfg.Pages.SignIn(w, r, view)
	return nil
}

// leave returns to the client without success.
func (m mounted) leave(w http.ResponseWriter, r *http.Request) error {
	id, browser, err := m.attemptOf(r)
	if err != nil {
		return err
	}
	response, err := m.flow.Leave(r.Context(), id, browser)
	if errors.Is(err, login.ErrState) {
		m.seeAttempt(w, id)
		return nil
	}
	if err != nil {
		return err
	}
	if response.FormPost || !page.IsWeb(response.RedirectURI) {
		// An app's own scheme opens now, because the user has pressed a button.
		response.Write(w, r, m.cfg.Pages)
		return nil
	}
	view, err := m.flow.View(r.Context(), id, browser)
	if err != nil {
		return err
	}
	m.cfg.Pages.Leaving(w, r, view, response.URL())
	return nil
}
