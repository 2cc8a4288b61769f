package ui

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"calleridp/provider"
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
		h.seeOther(w, provider.PathAttempt+string(id)+provider.AttemptContinue)
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

// isWeb says that a form-action is a web page's. The other kind is a scheme of
// an app on the phone, which browsers open only when the person presses
// something.
func isWeb(formAction string) bool {
	return formAction == "" || strings.HasPrefix(formAction, "https:") || strings.HasPrefix(formAction, "http:")
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
	h.Cookies.SetSession(w, done.Session, done.Expires)
	if done.Response.FormPost {
		h.FormPost(w, r, done.Response.RedirectURI, done.Response.Params)
		return nil
	}
	to, err := withParams(done.Response)
	if err != nil {
		return err
	}
	redirect(w, to)
	return nil
}

// notApproved answers who comes too early or too late.
func (h handlers) notApproved(w http.ResponseWriter, r *http.Request, id login.ID, browser string) error {
	view, err := h.flow.View(r.Context(), id, browser)
	switch {
	case err != nil:
		return err
	case view.State == login.Done:
		return errFinished
	case view.State == login.Approved:
		return errors.New("ui: the attempt is approved and cannot be used") // and not a circle of redirects
	}
	h.seeOther(w, provider.PathAttempt+string(id))
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
	h.seeOther(w, provider.PathAttempt+string(id))
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
		h.seeOther(w, provider.PathAttempt+string(id))
		return nil
	}
	if err != nil {
		return err
	}
	if response.FormPost {
		h.FormPost(w, r, response.RedirectURI, response.Params)
		return nil
	}
	to, err := withParams(response)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(to, "https:") && !strings.HasPrefix(to, "http:") {
		redirect(w, to) // an app's own scheme, and the person has just pressed a button
		return nil
	}
	view, err := h.flow.View(r.Context(), id, browser)
	if err != nil {
		return err
	}
	h.onward(w, r, view, to)
	return nil
}

// withParams is the redirect URI with the response in its query. A query that it
// has already stays as it is (RFC 6749 §3.1.2).
func withParams(response provider.Response) (string, error) {
	to, err := url.Parse(response.RedirectURI)
	if err != nil {
		return "", errors.New("ui: the redirect URI does not parse")
	}
	var query strings.Builder
	query.WriteString(to.RawQuery)
	for _, p := range response.Params {
		if query.Len() > 0 {
			query.WriteByte('&')
		}
		query.WriteString(url.QueryEscape(p[0]))
		query.WriteByte('=')
		query.WriteString(url.QueryEscape(p[1]))
	}
	to.RawQuery = query.String()
	return to.String(), nil
}
