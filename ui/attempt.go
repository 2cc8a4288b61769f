package ui

import (
	"errors"
	"net/http"
	"strings"

	"calleridp/provider/endpoint"
	"calleridp/provider/login"
)

// attempt shows where an attempt stands.
func (h handlers) attempt(w http.ResponseWriter, r *http.Request) error {
	id, err := attemptID(r)
	if err != nil {
		return err
	}
	view, err := h.flow.View(r.Context(), id, h.Cookies.Browser(r))
	if err != nil {
		return err
	}
	switch {
	case view.State == login.Done:
		return errFinished
	case view.State == login.Approved && (byHand(r) || !isWeb(view.FormAction)):
		h.approved(w, r, view)
	case view.State == login.Approved:
		h.seeOther(w, endpoint.PathAttempt+string(id)+endpoint.AttemptContinue)
	case view.State.Terminal():
		h.ended(w, r, view)
	default:
		h.waiting(w, r, view)
	}
	return nil
}

// byHand says that the request follows from something that the person did, such
// as submitting a form. Browsers apply the form-action of a page's CSP to every
// redirect that follows its form, to the client's page and to wherever that
// redirects; a page of ours in between ends that, and costs nobody anything.
func byHand(r *http.Request) bool { return r.Header.Get("Sec-Fetch-User") == "?1" }

// isWeb says that a redirect URI, or the form-action for one, is a web page's.
// The other kind is a scheme of an app on the same device, which browsers open
// only when the person presses something.
func isWeb(uri string) bool {
	return uri == "" || strings.HasPrefix(uri, "https:") || strings.HasPrefix(uri, "http:")
}

// proceed uses an approved attempt and goes to the client.
func (h handlers) proceed(w http.ResponseWriter, r *http.Request) error {
	id, err := attemptID(r)
	if err != nil {
		return err
	}
	browser := h.Cookies.Browser(r)
	done, err := h.flow.Continue(r.Context(), id, browser, h.Cookies.Session(r))
	if errors.Is(err, login.ErrState) {
		return h.notApproved(w, r, id, browser)
	}
	if err != nil {
		return err
	}
	if done.Session != "" { // none when somebody else than the client expected has approved
		h.Cookies.SetSession(w, done.Session, done.Expires)
	}
	if done.Consent != nil {
		h.Consent(w, r, *done.Consent)
		return nil
	}
	done.Response.Write(w, r, h.UI)
	return nil
}

// notApproved answers who comes too early or too late.
func (h handlers) notApproved(w http.ResponseWriter, r *http.Request, id login.ID, browser string) error {
	view, err := h.flow.View(r.Context(), id, browser)
	if err != nil {
		return err
	}
	if view.State == login.Done {
		return errFinished
	}
	h.seeOther(w, endpoint.PathAttempt+string(id))
	return nil
}

// cancel ends the attempt by the person's wish.
func (h handlers) cancel(w http.ResponseWriter, r *http.Request) error {
	id, err := attemptID(r)
	if err != nil {
		return err
	}
	if err := h.flow.Cancel(r.Context(), id, h.Cookies.Browser(r)); err != nil {
		return err
	}
	h.seeOther(w, endpoint.PathAttempt+string(id))
	return nil
}

// leave goes back to the client without success.
func (h handlers) leave(w http.ResponseWriter, r *http.Request) error {
	id, err := attemptID(r)
	if err != nil {
		return err
	}
	browser := h.Cookies.Browser(r)
	response, err := h.flow.Leave(r.Context(), id, browser)
	if errors.Is(err, login.ErrState) {
		h.seeOther(w, endpoint.PathAttempt+string(id))
		return nil
	}
	if err != nil {
		return err
	}
	if response.FormPost || !isWeb(response.RedirectURI) {
		// An app's own scheme opens now, because the person has pressed a button.
		response.Write(w, r, h.UI)
		return nil
	}
	view, err := h.flow.View(r.Context(), id, browser)
	if err != nil {
		return err
	}
	h.onward(w, r, view, response.URL())
	return nil
}
