// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
)

// signInView is what the sign-in page shows.
type signInView struct {
	chrome

	Request   string // the sealed authorization request, for the forms
	Phone     string
	Region    string
	Guessed   bool          // Region comes from the browser's language
	Code      string        // the calling code of Region, as +46; "" for none
	Countries []option      // before all the others
	List      template.HTML // all the others

	Known  *moment // when the user signed in who is greeted; nil for none
	Number string  // of that user: two digits

	Problem string // authorize.ProblemKind; "" for none
	Wrong   bool   // Problem is a mistake in the field
	Confirm bool   // Problem is no mistake: the user must confirm the number
	App     string // for other_app: under which Truecaller shows the open request
	Open    string // the page of that request; "" for none
	Wait    delay
	Tries   int  // the few tries that are left; 0 for plenty, or for none
	None    bool // no try is left; Wait says until when

	Challenge *authorize.ChallengeView // what the browser must solve; nil for nothing
	WaitsFor  bool                     // Wait says when there will be no challenge

	OneTap      *oneTap // nil for none
	Told        string  // what the script says beside the one-tap button; only in a gallery
	WithoutPush bool    // there is no number field
	Manual      bool    // the user must press a link to return to the client
}

// SignIn implements provider.Pages.
func (p *Pages) SignIn(w http.ResponseWriter, r *http.Request, v authorize.SignInView) {
	choice, now := p.choose(r, v.UILocales), time.Now()
	view := &signInView{
		chrome:      chromeOf(v.Client),
		Request:     v.Request,
		Phone:       v.Phone,
		Challenge:   v.Challenge,
		OneTap:      oneTapOn(r, v.OneTap, choice.Tag),
		Told:        p.exhibit.OneTap,
		WithoutPush: v.WithoutPush,
		Manual:      !IsWeb(v.FormAction),
	}
	if v.Known != nil && view.OneTap == nil {
		since := momentOf(now, v.Known.Since)
		view.Known, view.Number = &since, shownNumber(v.Known.Number)
	}
	countries := p.countries[choice.Tag]()
	view.setCountry(r, countries, v.Region, v.Countries)
	view.setProblem(v, now)
	if v.Problem != nil && v.Problem.Kind == authorize.OtherApp {
		view.App, view.Open = cmp.Or(v.Problem.App, p.cfg.AppName), p.cfg.Base+endpoint.PathAttempt+string(v.Problem.Attempt)
	}
	if v.Problem != nil {
		if left := seconds(now, v.Problem.RetryAt); left > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(left)) // RFC 9110 §10.2.3
		}
	}
	p.show(w, r, response{
		template: "signin",
		language: choice,
		status:   problemStatus(v.Problem),
		view:     view,
		policy:   p.signInPolicy(view, v.FormAction),
		again:    signInAgain(v),
		blocks:   blocks{countriesMark[1]: countries.all},
	})
}

func (p *Pages) signInPolicy(view *signInView, formAction string) policy {
	if view.Told != "" {
		return policy{}
	}
	pol := policy{
		script:     p.assets.signIn[signInParts{number: !view.WithoutPush, oneTap: view.OneTap != nil}],
		joins:      !view.WithoutPush,
		connect:    view.OneTap != nil,
		formAction: formAction,
	}
	if view.Challenge != nil {
		pol.solver = p.assets.solver
	}
	if view.Client.own {
		// The account page has it too: a site that opened the window must not learn which
		// of the two it is, and so whether the user is signed in.
		pol.opener = sameOriginOpener
	}
	return pol
}

// signInAgain returns how a sign-in page is shown again: with the number form, and so
// with what the user typed, or if there is none, with the sealed request.
func signInAgain(v authorize.SignInView) again {
	if v.Request == "" || v.WithoutPush {
		return withRequest(v.Request)
	}
	a := again{numberForm: true}
	if v.Problem != nil {
		a.add("problem", string(v.Problem.Kind))
		if !v.Problem.RetryAt.IsZero() {
			a.add("retry", strconv.FormatInt(v.Problem.RetryAt.Unix(), 10))
		}
		a.add("attempt", string(v.Problem.Attempt))
		a.add("app", v.Problem.App)
	}
	return a
}

// setProblem fills in why the page is shown again and what is left. One sentence at
// most says how long to wait.
func (view *signInView) setProblem(v authorize.SignInView, now time.Time) {
	problemWaits := false
	if v.Problem != nil {
		view.Problem = string(v.Problem.Kind)
		view.Confirm = v.Problem.Kind == authorize.PhoneConfirm
		view.Wrong = problemStatus(v.Problem) == http.StatusUnprocessableEntity
		problemWaits = namesWait(v.Problem.Kind)
	}
	if v.Tries != nil && !problemWaits {
		view.Tries, view.None = v.Tries.Left, v.Tries.Left == 0
	}
	switch {
	case problemWaits:
		view.Wait = waitUntil(now, v.Problem.RetryAt)
	case view.None:
		view.Wait = waitUntil(now, v.Tries.Next)
	case v.Challenge != nil && !v.Challenge.Without.IsZero():
		view.WaitsFor, view.Wait = true, waitUntil(now, v.Challenge.Without)
	}
}

// namesWait reports whether the sentence of a problem says how long to wait.
func namesWait(kind authorize.ProblemKind) bool {
	switch kind {
	case authorize.Locked, authorize.LockedElsewhere, authorize.Limited, authorize.Unavailable:
		return true
	}
	return false
}

// problemStatus returns the status of a sign-in page with a problem, nil for none.
func problemStatus(problem *authorize.Problem) int {
	if problem == nil {
		return http.StatusOK
	}
	switch problem.Kind {
	case authorize.PhoneConfirm:
		return http.StatusOK
	case authorize.Locked, authorize.LockedElsewhere, authorize.OtherApp, authorize.Limited, authorize.Unsolved:
		return http.StatusTooManyRequests
	case authorize.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}

// IsWeb reports whether a redirect URI, or the form-action for one, leads to a web
// page. Any other is the scheme of an app on the same device, which browsers open
// only after a press.
func IsWeb(uri string) bool {
	return uri == "" || strings.HasPrefix(uri, "https:") || strings.HasPrefix(uri, "http:")
}
