// SPDX-License-Identifier: Apache-2.0

package page

import (
	"html/template"
	"net/http"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
)

// retry is what the pages of an attempt say about another one.
type retry struct {
	Wait   delay // until the same number may get another request
	Locked bool  // it may not yet
	Tries  int   // the few tries that are left; 0 for plenty, or for none
}

func retryOf(v authorize.AttemptView, now time.Time) retry {
	again := retry{Wait: waitUntil(now, v.AgainAt), Locked: v.AgainAt.After(now)}
	if v.Tries != nil {
		again.Tries = v.Tries.Left
	}
	return again
}

// waitingView is what the waiting page shows.
type waitingView struct {
	chrome
	retry

	App                       string // the name under which Truecaller shows the request
	Attempt                   string
	Serves                    string       // the request that the page is about
	Number                    string       // masked
	Link                      template.URL // opens Truecaller on the same phone (one-tap); "" for a push
	Truecaller                template.URL // opens the app itself, for a push; "" where it cannot
	Opened                    bool         // Truecaller's dialog is open on the phone
	WithoutPush               bool         // no number can be typed instead
	Left, Again               string       // m:ss
	LeftSeconds, AgainSeconds int
	Lifetime                  int  // seconds from the attempt's start to its end
	Percent                   int  // of Lifetime that is left
	Sooner                    bool // Again ends before Left
	Later                     bool // the lock outlasts the attempt by so much that a clock would not help
	Manual                    bool // the user must press a link to return to the client
	Still                     bool // the page does not refresh itself
}

// Waiting shows that the user must approve the attempt on their phone.
func (p *Pages) Waiting(w http.ResponseWriter, r *http.Request, v authorize.AttemptView) {
	choice, now := p.choose(r, v.UILocales), time.Now()
	view := &waitingView{
		chrome:       chromeOf(v.Client),
		retry:        retryOf(v, now),
		App:          p.appName(v),
		Attempt:      string(v.ID),
		Serves:       v.Serves,
		Number:       shownNumber(v.Number),
		Opened:       v.Opened,
		WithoutPush:  v.WithoutPush,
		LeftSeconds:  seconds(now, v.Expires),
		AgainSeconds: seconds(now, v.AgainAt),
		Lifetime:     max(1, seconds(v.Created, v.Expires)),
		Sooner:       v.AgainAt.Before(v.Expires.Add(-time.Second)),
		Later:        v.AgainAt.After(v.Expires.Add(time.Minute)),
		Manual:       !IsWeb(v.FormAction),
		Still:        p.exhibit.Still,
	}
	view.Left, view.Again = clock(view.LeftSeconds), clock(view.AgainSeconds)
	view.Percent = min(100, (100*view.LeftSeconds+view.Lifetime-1)/view.Lifetime)
	if v.Link != nil {
		view.Link = template.URL(v.Link(choice.Tag)) // truecaller.App.DeepLink makes it from validated parts
	} else if opensTruecaller(r.Header) {
		view.Truecaller = openTruecaller
	}
	pol := policy{formAction: v.FormAction}
	if !p.exhibit.Still {
		pol.script, pol.connect = p.assets.script, true
	}
	p.show(w, r, response{template: "waiting", language: choice, status: http.StatusOK, view: view, policy: pol})
}

// appName returns the name under which Truecaller shows the request of an attempt.
func (p *Pages) appName(v authorize.AttemptView) string {
	if v.App != "" {
		return v.App
	}
	return p.cfg.AppName
}

// onwardView is what a page shows that leads to the client.
type onwardView struct {
	chrome

	Onward  template.URL
	Success bool // the user has signed in
	Manual  bool // the user must press the link
	Still   bool // the page does not follow the link by itself
}

// Approved leads to the client after a success.
func (p *Pages) Approved(w http.ResponseWriter, r *http.Request, v authorize.AttemptView) {
	p.onward(w, r, v, &onwardView{
		Onward:  template.URL(p.cfg.Base + endpoint.PathAttempt + string(v.ID) + endpoint.AttemptContinue),
		Success: true,
		Manual:  !IsWeb(v.FormAction),
	})
}

// Leaving leads to the client without a success. to is a URL of the web.
func (p *Pages) Leaving(w http.ResponseWriter, r *http.Request, v authorize.AttemptView, to string) {
	v.FormAction = "" // the page has no form that leads to the client
	p.onward(w, r, v, &onwardView{Onward: template.URL(to)})
}

func (p *Pages) onward(w http.ResponseWriter, r *http.Request, v authorize.AttemptView, view *onwardView) {
	view.chrome = chromeOf(v.Client)
	if p.exhibit.Still {
		view.Onward, view.Still = "#", true
	}
	p.show(w, r, response{
		template: "onward",
		language: p.choose(r, v.UILocales),
		status:   http.StatusOK,
		view:     view,
		policy:   policy{formAction: v.FormAction},
		again:    again{never: !view.Manual},
	})
}

// endedView is what the page of an attempt without success shows. Its first button
// works now: another try with the same number, if it may get another request; else
// another number; else the way back to the client.
type endedView struct {
	chrome
	retry

	Attempt string
	Number  string // masked
	Outcome string

	Badge, Look  string // see badge
	AnotherFirst bool   // another number is what helps
	Another      bool   // another number may be tried now
	Again        string // m:ss until the same one may be tried again
	AgainSeconds int
	Clock        bool // Wait is short enough to count down
	Cools        bool // the same number takes a challenge until Wait, and so a script
	Still        bool // the page does not refresh itself
}

// Ended shows how an attempt ended without success.
func (p *Pages) Ended(w http.ResponseWriter, r *http.Request, v authorize.AttemptView) {
	now := time.Now()
	view := &endedView{
		chrome:       chromeOf(v.Client),
		retry:        retryOf(v, now),
		Attempt:      string(v.ID),
		Number:       shownNumber(v.Number),
		Outcome:      outcome(v),
		Another:      !v.WithoutPush && !v.AnotherAt.After(now),
		AgainSeconds: seconds(now, v.AgainAt),
		Still:        p.exhibit.Still,
	}
	view.Badge, view.Look = outcomeBadge(view.Outcome)
	view.AnotherFirst = view.Another && (view.Outcome == "another" || view.Outcome == "mismatch")
	view.Again = clock(view.AgainSeconds)
	view.Clock = view.Locked && view.Wait.Hours == 0
	pol := policy{formAction: v.FormAction}
	if view.Locked {
		pol.script = p.assets.script
	} else if v.UnsolvedAt.After(now) {
		view.Cools, view.Wait = true, waitUntil(now, v.UnsolvedAt)
	}
	p.show(w, r, response{
		template: "ended",
		language: p.choose(r, v.UILocales),
		status:   http.StatusOK,
		view:     view,
		policy:   pol,
	})
}

// outcomeBadge returns the badge of an outcome. To decline or to cancel is a choice and no
// mistake.
func outcomeBadge(outcome string) (name, look string) {
	switch outcome {
	case "expired", "onetap_expired":
		return "clock", "dashed"
	case "mismatch":
		return "differ", "warn"
	case "failed":
		return "problem", "bad"
	case "unavailable":
		return "problem", "warn"
	case "another", "several", "several_only":
		return "device", ""
	}
	return "cross", ""
}

// outcomes holds the texts for how an attempt ended without success. Every other
// reason is "failed".
var outcomes = map[login.Reason]string{
	login.UserRejected:   "declined",
	login.AnotherNumber:  "another",
	login.Cancelled:      "cancelled",
	login.PhoneMismatch:  "mismatch",
	login.Misconfigured:  "unavailable",
	login.Refused:        "unavailable",
	login.Unavailable:    "unavailable",
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
