// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/ui/language"
	"calleridp/ui/page"
)

// language takes the language that the user selected, and shows the page again.
func (m mounted) language(w http.ResponseWriter, r *http.Request) error {
	form := r.PostForm
	selected := m.cfg.Languages().Named(form.Get("lang"))
	if selected == nil {
		return endpoint.ErrBadRequest
	}
	back := form.Get("back")
	if !form.Has("request") && !form.Has("error") && !page.Repeatable(back) {
		return endpoint.ErrBadRequest
	}
	instead := m.cfg.Languages().Named(form.Get("from"))
	m.cfg.Cookies.SetLanguage(w, language.Preference(selected, instead))
	r = language.WithSelected(r, selected)
	switch {
	case form.Has("request"):
		m.flow.Reopen(w, r, authorize.Reopening{
			Request: form.Get("request"),
			Network: limit.NetworkOf(m.cfg.ClientAddr(r)),
			Phone:   form.Get("phone"),
			Region:  form.Get("region"),
			Problem: m.problemIn(form),
		})
	case form.Has("error"):
		correlation := form.Get("correlation")
		if len(correlation) > 64 || !isBase64URL(correlation) {
			correlation = ""
		}
		// The error happened before, and this request succeeds.
		m.cfg.Pages.Error(w, r, endpoint.ErrorView{
			Kind:        endpoint.ErrorKind(form.Get("error")),
			Status:      http.StatusOK,
			Correlation: correlation,
		})
	default:
		m.seeOther(w, back)
	}
	return nil
}

// attemptID is the length of an attempt's ID.
const attemptID = 22

// problemIn returns the problem that a page has shown, nil for none.
func (h *Handlers) problemIn(form url.Values) *authorize.Problem {
	kind := form.Get("problem")
	if known := h.cfg.Languages().All()[0].Cases("problem.*"); !slices.Contains(known, kind) {
		return nil
	}
	p := &authorize.Problem{Kind: authorize.ProblemKind(kind)}
	if at, err := strconv.ParseInt(form.Get("retry"), 10, 64); err == nil {
		p.RetryAt = time.Unix(at, 0)
	}
	if p.Kind == authorize.OtherApp {
		id := form.Get("attempt")
		if len(id) != attemptID || !isBase64URL(id) {
			return nil
		}
		p.Attempt, p.App = login.ID(id), form.Get("app")
	}
	return p
}
