// SPDX-License-Identifier: Apache-2.0

package gallery

import (
	"net/http"
	"strings"
	"time"

	"calleridp/provider/account"
	"calleridp/provider/authorize"
	"calleridp/provider/claims"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/logout"
	"calleridp/provider/session"
	"calleridp/ui/page"
)

// scene is one page in one state.
type scene struct {
	name     string
	oneTap   string // page.Exhibit.OneTap
	platform string // the browser's platform hint (Sec-CH-UA-Platform); "" for what it sends
	show     show
}

// show draws a page for a browser.
type show func(p *page.Pages, b browser)

// browser is a request, the response to it, and the client's ui_locales.
type browser struct {
	w         http.ResponseWriter
	r         *http.Request
	uiLocales []string
}

// draw draws the scene in a language.
func (s scene) draw(pages *page.Pages, exhibit page.Exhibit, w http.ResponseWriter, r *http.Request, lang string) {
	if s.platform != "" {
		r.Header.Set("Sec-CH-UA-Platform", `"`+s.platform+`"`)
	}
	exhibit.Still, exhibit.OneTap = true, s.oneTap
	s.show(pages.Exhibited(exhibit), browser{w: w, r: r, uiLocales: []string{lang}})
}

var (
	shop = endpoint.ClientView{
		ID:        "shop",
		Name:      "Lingon Market",
		URI:       "https://shop.example/",
		TOSURI:    "https://shop.example/terms",
		PolicyURI: "https://shop.example/privacy",
	}
	longName = endpoint.ClientView{
		ID:   "long",
		Name: "The Association of Independent Booksellers and Stationers of the Northern Counties",
	}
	stranger = endpoint.ClientView{ // registered itself: the host is behind its name
		ID:        "stranger",
		Name:      "Rönn & Co (shop.rowan.example)",
		URI:       "https://shop.rowan.example/",
		PolicyURI: "https://shop.rowan.example/privacy",
	}
	arabic = endpoint.ClientView{ID: "arabic", Name: "متجر الزهور"}
)

const (
	sealed = "sealed"
	masked = "+46•••••0605"
	typed  = "+46 70 174 06 05"
	tooFew = "+46 70 174 06"

	attemptID   = login.ID("AAAAAAAAAAAAAAAAAAAAAA")
	attemptLeft = 4*time.Minute + 42*time.Second
)

// attemptBegan returns when an attempt of five minutes began of which attemptLeft is left.
func attemptBegan() time.Time { return time.Now().Add(attemptLeft - 5*time.Minute) }

// inLanguage returns the request of a browser that prefers the ui_locales, for pages that
// ignore them.
func (b browser) inLanguage() *http.Request {
	r := b.r.Clone(b.r.Context())
	r.Header.Set("Accept-Language", strings.Join(b.uiLocales, ","))
	return r
}

// scenes returns all pages in all states, in the order in which users meet them.
func scenes() []scene {
	var all []scene
	for _, g := range groups() {
		all = append(all, g.scenes...)
	}
	return all
}

// group is what the list shows under one title.
type group struct {
	Title  string
	scenes []scene
}

// Scenes returns the names of the group's scenes.
func (g group) Scenes() []string {
	var names []string
	for _, s := range g.scenes {
		names = append(names, s.name)
	}
	return names
}

func groups() []group {
	return []group{
		{"Sign in", signInScenes()},
		{"On an Android phone", oneTapScenes()},
		{"Few tries, and challenges", limitScenes()},
		{"Waiting and outcomes", attemptScenes()},
		{"Consent", consentScenes()},
		{"Account", accountScenes()},
		{"Devices without a browser", deviceScenes()},
		{"Signing out, and errors", otherScenes()},
	}
}

func signIn(name string, v authorize.SignInView) scene {
	return scene{name: "signin" + name, show: func(p *page.Pages, b browser) {
		v := v
		v.UILocales, v.Request = b.uiLocales, sealed
		p.SignIn(b.w, b.r, v)
	}}
}

func signInScenes() []scene {
	all := []scene{
		signIn("", authorize.SignInView{Client: shop, Region: "SE"}),
		signIn("-account", authorize.SignInView{Client: endpoint.ClientView{Own: true}, Region: "SE"}),
		signIn("-countries", authorize.SignInView{Client: shop, Region: "SE", Countries: []string{"IN", "SE", "NG"}}),
		{name: "signin-no-country", show: func(p *page.Pages, b browser) {
			r := b.r.Clone(b.r.Context())
			r.Header.Del("Accept-Language") // the page would guess a country from it
			p.SignIn(b.w, r, authorize.SignInView{Client: arabic, UILocales: b.uiLocales, Request: sealed})
		}},
		signIn("-known", authorize.SignInView{
			Client: shop,
			Region: "SE",
			Known:  &authorize.KnownView{Number: "+46•••••05", Since: time.Now().Add(-75 * time.Hour)},
		}),
		signIn("-prefilled", authorize.SignInView{Client: longName, Region: "SE", Phone: typed}),
	}
	soon := time.Now().Add(4*time.Minute + 10*time.Second)
	for _, kind := range []authorize.ProblemKind{
		authorize.PhoneEmpty, authorize.PhoneNotANumber, authorize.PhoneTooShort, authorize.PhoneTooLong,
		authorize.PhoneCountry, authorize.PhoneInvalid, authorize.PhoneLandline, authorize.PhoneNeedsRegion,
		authorize.Locked, authorize.LockedElsewhere, authorize.Limited, authorize.Unavailable,
	} {
		v := authorize.SignInView{
			Client:  shop,
			Region:  "SE",
			Phone:   tooFew,
			Problem: &authorize.Problem{Kind: kind, RetryAt: soon},
		}
		if kind == authorize.PhoneEmpty {
			v.Phone = ""
		}
		all = append(all, signIn("-"+strings.ReplaceAll(string(kind), "_", "-"), v))
	}
	all = append(all, signIn("-other-app", authorize.SignInView{
		Client:  shop,
		Region:  "SE",
		Phone:   typed,
		Problem: &authorize.Problem{Kind: authorize.OtherApp, RetryAt: soon, Attempt: "attempt", App: "Example Bank"},
	}))
	return append(all, signIn("-confirm", authorize.SignInView{
		Client:  shop,
		Region:  "SE",
		Phone:   typed,
		Problem: &authorize.Problem{Kind: authorize.PhoneConfirm},
	}))
}

func oneTapScenes() []scene {
	onAndroid := func(name string, v authorize.SignInView) scene {
		v.OneTap = &authorize.OneTapView{Nonce: sealed, Link: func(string) string { return "#" }}
		s := signIn("-android"+name, v)
		s.platform = "Android"
		return s
	}
	limited := &authorize.Problem{Kind: authorize.Limited, RetryAt: time.Now().Add(4*time.Minute + 10*time.Second)}
	all := []scene{
		onAndroid("", authorize.SignInView{Client: shop, Region: "SE"}),
		onAndroid("-problem", authorize.SignInView{
			Client:  longName,
			Region:  "SE",
			Phone:   tooFew,
			Problem: &authorize.Problem{Kind: authorize.PhoneTooShort},
		}),
		onAndroid("-limited", authorize.SignInView{Client: shop, Region: "SE", Problem: limited}),
		onAndroid("-only", authorize.SignInView{Client: shop, WithoutPush: true}),
		onAndroid("-only-limited", authorize.SignInView{Client: shop, WithoutPush: true, Problem: limited}),
	}
	for _, said := range []string{"opened", "absent", "declined"} {
		s := onAndroid("-"+said, authorize.SignInView{Client: shop, Region: "SE"})
		s.oneTap = said
		all = append(all, s)
	}
	return append(all, signIn("-elsewhere", authorize.SignInView{Client: shop, WithoutPush: true}))
}

// limitScenes returns sign-in pages whose user has few tries left or must solve a
// challenge.
func limitScenes() []scene {
	now := time.Now()
	challenge := &authorize.ChallengeView{Sealed: sealed, Seed: "0123456789abcdefghijkl", Bits: 18}
	unsolved := *challenge
	unsolved.Without = now.Add(9 * time.Minute)
	return []scene{
		signIn("-limited-for-hours", authorize.SignInView{
			Client:  shop,
			Region:  "SE",
			Phone:   typed,
			Problem: &authorize.Problem{Kind: authorize.Limited, RetryAt: now.Add(5 * time.Hour)},
		}),
		signIn("-challenge", authorize.SignInView{Client: shop, Region: "SE", Challenge: challenge}),
		signIn("-unsolved", authorize.SignInView{
			Client:    shop,
			Region:    "SE",
			Phone:     typed,
			Problem:   &authorize.Problem{Kind: authorize.Unsolved},
			Challenge: &unsolved,
		}),
		signIn("-few-tries", authorize.SignInView{Client: shop, Region: "SE", Tries: &login.Tries{Left: 2}}),
		signIn("-no-tries", authorize.SignInView{Client: shop, Region: "SE", Tries: &login.Tries{Next: now.Add(11 * time.Minute)}}),
	}
}

func attemptScenes() []scene {
	// attempt is a page of an attempt, of the shop's if it names no client. The same number
	// may get another request after again.
	attempt := func(name string, v authorize.AttemptView, again time.Duration) scene {
		if v.Client.ID == "" {
			v.Client = shop
		}
		v.ID, v.Number, v.App = attemptID, masked, v.Client.Name
		v.Created, v.Expires, v.AgainAt = attemptBegan(), time.Now().Add(attemptLeft), time.Now().Add(again)
		return scene{name: name, platform: "Linux", show: showAttempt(v)}
	}
	onAndroid := attempt("waiting-android", authorize.AttemptView{State: login.Waiting}, attemptLeft)
	onAndroid.platform = "Android"
	oneTap := func(name string, v authorize.AttemptView) scene {
		v.ID, v.Method, v.Client, v.App = attemptID, login.OneTap, shop, "Lingon Market"
		v.Created, v.Expires = attemptBegan(), time.Now().Add(attemptLeft)
		v.Link = func(string) string { return "#" }
		return scene{name: name, show: showAttempt(v)}
	}
	few := func(n int) *login.Tries { return &login.Tries{Left: n} }
	return []scene{
		attempt("waiting", authorize.AttemptView{State: login.Waiting}, attemptLeft),
		onAndroid,
		oneTap("waiting-onetap", authorize.AttemptView{State: login.Waiting}),
		oneTap("waiting-onetap-opened", authorize.AttemptView{State: login.Waiting, Opened: true}),
		oneTap("waiting-onetap-only", authorize.AttemptView{State: login.Waiting, WithoutPush: true}),
		oneTap("declined-onetap", authorize.AttemptView{State: login.Rejected, Reason: login.UserRejected}),
		oneTap("expired-onetap", authorize.AttemptView{State: login.Expired}),
		oneTap("expired-onetap-no-tries", authorize.AttemptView{State: login.Expired, AgainAt: time.Now().Add(7 * time.Minute)}),
		oneTap("several-numbers", authorize.AttemptView{State: login.Failed, Reason: login.SeveralNumbers}),
		oneTap("several-numbers-only", authorize.AttemptView{State: login.Failed, Reason: login.SeveralNumbers, WithoutPush: true}),
		attempt("waiting-again", authorize.AttemptView{State: login.Waiting, Client: longName}, 0),
		attempt("waiting-few-tries", authorize.AttemptView{State: login.Waiting, Tries: few(1)}, attemptLeft),
		attempt("waiting-last-try", authorize.AttemptView{State: login.Waiting, Tries: few(0)}, 12*time.Hour),
		attempt("approved", authorize.AttemptView{State: login.Approved}, 0),
		attempt("declined", authorize.AttemptView{State: login.Rejected, Reason: login.UserRejected}, 0),
		attempt("declined-cooling-down", authorize.AttemptView{State: login.Rejected, Reason: login.UserRejected}, 15*time.Minute),
		attempt("declined-few-tries", authorize.AttemptView{State: login.Rejected, Reason: login.UserRejected, Tries: few(2)}, 0),
		attempt("another-number", authorize.AttemptView{State: login.Rejected, Reason: login.AnotherNumber}, 0),
		attempt("cancelled", authorize.AttemptView{State: login.Rejected, Reason: login.Cancelled}, 4*time.Minute),
		attempt("cancelled-no-tries", authorize.AttemptView{
			State:     login.Rejected,
			Reason:    login.Cancelled,
			AnotherAt: time.Now().Add(20 * time.Minute),
		}, 20*time.Minute),
		attempt("declined-last-try", authorize.AttemptView{State: login.Rejected, Reason: login.UserRejected, Tries: few(0)}, 5*time.Hour),
		attempt("expired", authorize.AttemptView{State: login.Expired}, time.Minute),
		attempt("expired-again", authorize.AttemptView{State: login.Expired, UnsolvedAt: time.Now().Add(10 * time.Minute)}, 0),
		attempt("mismatch", authorize.AttemptView{State: login.Failed, Reason: login.PhoneMismatch}, 0),
		attempt("unavailable", authorize.AttemptView{State: login.Failed, Reason: login.Unavailable}, 0),
		attempt("failed", authorize.AttemptView{State: login.Failed, Reason: login.ProfileFailed}, 0),
		attempt("leaving", authorize.AttemptView{State: login.Done}, 0),
	}
}

func showAttempt(v authorize.AttemptView) show {
	return func(p *page.Pages, b browser) {
		v := v
		v.UILocales = b.uiLocales
		switch v.State {
		case login.Waiting:
			p.Waiting(b.w, b.r, v)
		case login.Approved:
			p.Approved(b.w, b.r, v)
		case login.Done:
			p.Leaving(b.w, b.r, v, "#")
		default:
			p.Ended(b.w, b.r, v)
		}
	}
}

func consentScenes() []scene {
	consent := func(name string, v authorize.ConsentView) scene {
		return scene{name: "consent" + name, show: func(p *page.Pages, b browser) {
			v := v
			v.Request, v.Number, v.UILocales = sealed, masked, b.uiLocales
			p.Consent(b.w, b.r, v)
		}}
	}
	return []scene{
		consent("", authorize.ConsentView{Client: shop, Scopes: claims.Scopes}),
		consent("-stranger", authorize.ConsentView{Client: stranger, Scopes: []string{claims.OpenID, claims.Phone}}),
		consent("-little", authorize.ConsentView{Client: longName, Scopes: []string{claims.OpenID, claims.Phone}}),
	}
}

func accountScenes() []scene {
	drawn := func(name string, v account.AccountView) scene {
		return scene{name: "account" + name, show: func(p *page.Pages, b browser) {
			p.Account(b.w, b.inLanguage(), v)
		}}
	}
	hour, now := time.Hour, time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	laptop := account.SessionView{
		ID:       "one",
		Device:   session.Device{Browser: "Firefox", OS: "Windows"},
		Created:  now,
		LastUsed: now,
		Here:     true,
	}
	all := []scene{
		drawn("", account.AccountView{
			Name:   "Asha Rao",
			Number: masked,
			Token:  "token",
			Did:    account.DidRevoke,
			Applications: []account.ApplicationView{
				{Client: shop, Open: "https://shop.example/login?iss=x", Scopes: []string{claims.OpenID, claims.Phone}, Since: ago(1000 * hour), LastUsed: ago(hour)},
				{Client: longName, Scopes: claims.Scopes, Since: ago(20000 * hour), LastUsed: ago(100 * hour)},
				{Client: arabic, Scopes: []string{claims.OpenID}, Since: ago(3 * hour), LastUsed: now},
			},
			Sessions: []account.SessionView{
				laptop,
				{
					ID:       "two",
					Device:   session.Device{Browser: "Samsung Internet", OS: "Android"},
					Country:  "SE",
					Created:  ago(70 * hour),
					LastUsed: ago(2 * hour),
				},
				{ID: "three", Created: ago(9000 * hour), LastUsed: ago(800 * hour)},
			},
		}),
		drawn("-empty", account.AccountView{
			Number:     "+46•••••0611",
			NumberLost: true,
			Token:      "token",
			Sessions:   []account.SessionView{laptop},
		}),
	}
	for _, v := range []account.AccountStepView{
		{Step: account.StepDownload, Number: masked, Token: "token"},
		{Step: account.StepDelete, Number: masked, Token: "token"},
		{Step: account.StepDeleted},
	} {
		name := "account-" + string(v.Step)
		all = append(all, scene{name: name, show: func(p *page.Pages, b browser) {
			p.AccountStep(b.w, b.inLanguage(), v)
		}})
	}
	return all
}

func otherScenes() []scene {
	signOut := func(name string, client endpoint.ClientView) scene {
		return scene{name: "sign-out" + name, show: func(p *page.Pages, b browser) {
			p.ConfirmSignOut(b.w, b.r, logout.SignOutView{Client: client, UILocales: b.uiLocales})
		}}
	}
	signedOut := func(name string, client endpoint.ClientView) scene {
		return scene{name: "signed-out" + name, show: func(p *page.Pages, b browser) {
			p.SignedOut(b.w, b.r, logout.SignedOutView{Client: client, UILocales: b.uiLocales})
		}}
	}
	leaving := func(name, next string, client endpoint.ClientView) scene {
		return scene{name: "signed-out-onward" + name, show: func(p *page.Pages, b browser) {
			p.SignedOut(b.w, b.r, logout.SignedOutView{Client: client, UILocales: b.uiLocales, Frames: []string{"https://other.example/signout"}, Next: next})
		}}
	}
	all := []scene{
		{name: "form-post", show: func(p *page.Pages, b browser) {
			p.FormPost(b.w, b.inLanguage(), "https://shop.example/callback", []endpoint.Parameter{{Name: "code", Value: "x"}})
		}},
		signOut("", endpoint.ClientView{}),
		signOut("-client", shop),
		signedOut("", endpoint.ClientView{}),
		signedOut("-client", shop),
		leaving("", "https://shop.example/bye", shop),
		leaving("-deleted", endpoint.PathAccountDeleted, endpoint.ClientView{}),
		{name: "home", show: func(p *page.Pages, b browser) { p.Home(b.w, b.inLanguage()) }},
	}
	all = append(all, scene{name: "error-restart", show: func(p *page.Pages, b browser) {
		p.Error(b.w, b.r, endpoint.ErrorView{Kind: endpoint.ErrorRequestExpired, Client: longName, Restart: "https://shop.example/login?iss=x", UILocales: b.uiLocales})
	}})
	for _, kind := range page.ErrorKinds() {
		v := endpoint.ErrorView{Kind: kind, Correlation: "01JD7K3W9QX4T8Z2"}
		if kind == endpoint.ErrorRedirectURI {
			v.Detail = "redirect_uri https://shop.example/callback/ is not registered for the client shop.\n" +
				"Registered: https://shop.example/callback"
		}
		name := "error-" + strings.ReplaceAll(string(kind), "_", "-")
		all = append(all, scene{name: name, show: func(p *page.Pages, b browser) {
			v := v
			v.UILocales = b.uiLocales
			p.Error(b.w, b.r, v)
		}})
	}
	return all
}
