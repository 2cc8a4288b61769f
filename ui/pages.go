package ui

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/logout"
)

// No page that a client may have opened in a window of its own sets a
// Cross-Origin-Opener-Policy: any value would cut that window off from the
// client, which waits for its answer. Pages that end there do.
const severed = "same-origin"

// SignIn implements provider.Pages.
func (u *UI) SignIn(w http.ResponseWriter, r *http.Request, v authorize.SignInView) {
	in := u.in(r, v.UILocales)
	p := page{Client: showClient(v.Client), App: v.App, Request: v.Request, Phone: v.Phone, WithoutPush: v.WithoutPush,
		OneTap: oneTapOn(r, v.OneTap, in.Tag), Manual: !isWeb(v.FormAction)}
	p.setCountry(r, in.countries(), v.Region, v.Countries)
	status := http.StatusOK
	now, patience := time.Now(), false
	if v.Problem != nil {
		p.Problem, patience = string(v.Problem.Kind), waits(v.Problem.Kind)
		p.retry = v.Problem.RetryAt
		p.Confirm = v.Problem.Kind == authorize.PhoneConfirm
		status = problemStatus(v.Problem.Kind)
		if left := seconds(now, v.Problem.RetryAt); left > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(left)) // RFC 9110 §10.2.3
		}
	}
	if v.Tries != nil && !patience {
		p.Tries, p.None = v.Tries.Left, v.Tries.Left == 0
	}
	p.Challenge = v.Challenge
	// One sentence of the page says how long to wait: that of the first of these.
	switch {
	case patience:
		p.Wait = waitUntil(now, v.Problem.RetryAt)
	case p.None:
		p.Wait = waitUntil(now, v.Tries.Next)
	case v.Challenge != nil && !v.Challenge.Without.IsZero():
		p.WaitsFor, p.Wait = true, waitUntil(now, v.Challenge.Without)
	}
	pol := policy{script: u.static.signIn[signInParts{number: !v.WithoutPush, oneTap: p.OneTap != nil}],
		connect: p.OneTap != nil, logo: p.Client.Logo, formAction: v.FormAction}
	if v.Challenge != nil {
		pol.solver = u.static.solver
	}
	if v.Client.Own {
		// As the account page has it: a site that opened the window cannot tell the two
		// apart, and so not who is signed in.
		pol.opener = severed
	}
	u.show(w, r, in, "signin", status, p, pol)
}

// waits says whether the sentence of a problem says how long to wait.
func waits(kind authorize.ProblemKind) bool {
	return kind == authorize.Locked || kind == authorize.Limited || kind == authorize.Unavailable
}

// problemStatus is the status that goes with a problem.
func problemStatus(kind authorize.ProblemKind) int {
	switch kind {
	case authorize.PhoneConfirm:
		return http.StatusOK
	case authorize.Locked, authorize.Limited, authorize.Unsolved:
		return http.StatusTooManyRequests
	case authorize.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}

func attemptPage(v authorize.AttemptView) page {
	now := time.Now()
	p := page{
		Client:       showClient(v.Client),
		App:          v.App,
		WithoutPush:  v.WithoutPush,
		Opened:       v.Opened,
		Attempt:      string(v.ID),
		Number:       v.Number,
		LeftSeconds:  seconds(now, v.Expires),
		AgainSeconds: seconds(now, v.AgainAt),
		Wait:         waitUntil(now, v.AgainAt),
		Locked:       v.AgainAt.After(now),
		Later:        v.AgainAt.After(v.Expires.Add(time.Minute)),
		Manual:       !isWeb(v.FormAction),
	}
	if v.Tries != nil {
		p.Tries = v.Tries.Left
	}
	p.Left, p.Again = clock(p.LeftSeconds), clock(p.AgainSeconds)
	return p
}

// waiting shows that the phone is asked.
func (u *UI) waiting(w http.ResponseWriter, r *http.Request, v authorize.AttemptView) {
	p := attemptPage(v)
	in := u.in(r, v.UILocales)
	if v.Link != nil {
		p.Link = template.URL(v.Link(in.Tag)) // made of validated parts by truecaller.App.DeepLink
	} else if opensTruecaller(r.Header) {
		p.Truecaller = openTruecaller
	}
	u.show(w, r, in, "waiting", http.StatusOK, p,
		policy{script: u.static.script, connect: true, logo: p.Client.Logo, formAction: v.FormAction})
}

// approved leads to the client after a success.
func (u *UI) approved(w http.ResponseWriter, r *http.Request, v authorize.AttemptView) {
	p := attemptPage(v)
	p.Success = true
	p.Onward = template.URL(u.base + endpoint.PathAttempt + string(v.ID) + endpoint.AttemptContinue)
	u.show(w, r, u.in(r, v.UILocales), "onward", http.StatusOK, p, policy{logo: p.Client.Logo, formAction: v.FormAction})
}

// onward leads to the client, without a success. to is a URL of the web.
func (u *UI) onward(w http.ResponseWriter, r *http.Request, v authorize.AttemptView, to string) {
	p := attemptPage(v)
	p.Manual = false
	p.Onward = template.URL(to)
	u.show(w, r, u.in(r, v.UILocales), "onward", http.StatusOK, p, policy{logo: p.Client.Logo})
}

// outcomes are the pages for how an attempt ended without success. What is not
// here is "failed".
var outcomes = map[login.Reason]string{
	login.UserRejected:  "declined",
	login.AnotherNumber: "another",
	login.Cancelled:     "cancelled",
	login.PhoneMismatch: "mismatch",
	login.Misconfigured: "unavailable",
	login.Refused:       "unavailable",
	login.Unavailable:   "unavailable",

	login.SeveralNumbers: "several",
}

func outcome(v authorize.AttemptView) string {
	if v.Method == login.OneTap { // no number is known that a sentence could name
		switch {
		case v.State == login.Expired:
			return "onetap_expired"
		case v.Reason == login.UserRejected, v.Reason == login.AnotherNumber && v.WithoutPush:
			return "onetap_declined"
		case v.Reason == login.SeveralNumbers && v.WithoutPush:
			return "several_only"
		}
	}
	if v.State == login.Expired {
		return "expired"
	}
	if o := outcomes[v.Reason]; o != "" {
		return o
	}
	if v.State == login.Rejected {
		return "declined"
	}
	return "failed"
}

// ended shows how an attempt ended without success.
func (u *UI) ended(w http.ResponseWriter, r *http.Request, v authorize.AttemptView) {
	p := attemptPage(v)
	p.Outcome = outcome(v)
	u.show(w, r, u.in(r, v.UILocales), "ended", http.StatusOK, p, policy{logo: p.Client.Logo, formAction: v.FormAction})
}

// FormPost implements provider.Pages.
func (u *UI) FormPost(w http.ResponseWriter, r *http.Request, action string, fields []endpoint.Parameter) {
	if action == "" || !isWeb(action) {
		u.Log.ErrorContext(r.Context(), "a form can be posted to the web only", "correlation", correlation(w))
		u.Error(w, r, endpoint.ErrorView{Kind: endpoint.ErrorInternal, Correlation: correlation(w)})
		return
	}
	pairs := make([][2]string, len(fields)) // as operators' templates know them
	for i, field := range fields {
		pairs[i] = [2]string{field.Name, field.Value}
	}
	u.show(w, r, u.in(r, nil), "formpost", http.StatusOK, page{Action: template.URL(action), Fields: pairs},
		policy{script: u.static.script, forms: anywhere(action), referrer: "strict-origin"})
}

// anywhere is the form-action for a form that leads to a client at once. The
// client may redirect further, to another site of its own, and browsers apply
// form-action there too. Such a page has one form, and nothing in it that is not
// escaped.
func anywhere(uri string) string {
	switch scheme, _, _ := strings.Cut(uri, ":"); scheme {
	case "https":
		return "https:"
	case "http": // on a developer's machine
		return "https: http:"
	default:
		return cspSource(scheme + ":")
	}
}

// ConfirmSignOut implements provider.Pages.
func (u *UI) ConfirmSignOut(w http.ResponseWriter, r *http.Request, v logout.SignOutView) {
	p := page{Client: showClient(v.Client), Request: v.Request}
	pol := policy{logo: p.Client.Logo}
	if v.FormAction != "" {
		pol.forms = "'self' " + anywhere(v.FormAction)
	}
	u.show(w, r, u.in(r, v.UILocales), "signout", http.StatusOK, p, pol)
}

// SignedOut implements provider.Pages.
func (u *UI) SignedOut(w http.ResponseWriter, r *http.Request, v logout.SignedOutView) {
	p := page{Client: showClient(v.Client)}
	u.show(w, r, u.in(r, v.UILocales), "signedout", http.StatusOK, p, policy{logo: p.Client.Logo, opener: severed})
}

// Error implements provider.Pages. A kind without a text is shown as
// ErrorInternal, and a view without a status gets its kind's.
func (u *UI) Error(w http.ResponseWriter, r *http.Request, v endpoint.ErrorView) {
	status, ok := statuses[v.Kind]
	if !ok {
		v.Kind, status = endpoint.ErrorInternal, http.StatusInternalServerError
	}
	if v.Status != 0 {
		status = v.Status
	}
	p := page{Error: string(v.Kind), Correlation: v.Correlation}
	if u.ShowDetail {
		p.Detail = v.Detail
	}
	u.show(w, r, u.in(r, v.UILocales), "error", status, p, policy{opener: severed})
}
