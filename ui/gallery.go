package ui

import (
	"cmp"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/provider/account"
	"calleridp/provider/authorize"
	"calleridp/provider/claims"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/logout"
	"calleridp/provider/session"
)

// Gallery shows every page in every state, with canned data, for people who work
// on the pages and for the tests that look at them:
//
//	/gallery                                        what there is
//	/gallery/{page}?lang=sv&theme=dark&dir=rtl      one page
//
// theme is light or dark, else the browser's choice; dir overrides the
// language's direction. Nothing on these pages leads anywhere. It is for
// development: it says nothing secret, and has no place in production. Call it
// before Mount's handlers serve: it adds stylesheets to theirs.
func (u *UI) Gallery() http.Handler {
	g := &gallery{UI: u, styles: map[string]string{"": u.static.style}}
	style := string(u.static.byName[u.static.style].plain)
	for theme, media := range map[string]string{"light": "not all", "dark": "all"} {
		themed := strings.NewReplacer(
			"(prefers-color-scheme: dark)", media,
			"color-scheme: light dark", "color-scheme: "+theme).Replace(style)
		g.styles[theme] = u.static.add(theme+".css", "text/css; charset=utf-8", []byte(themed))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathGallery, g.list)
	mux.HandleFunc("GET "+pathGallery+"/{page}", g.page)
	return mux
}

const pathGallery = "/gallery"

type gallery struct {
	*UI
	styles map[string]string // the names of the stylesheets, by theme
}

// scene is one page in one state.
type scene struct {
	name string
	show func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string)
}

var (
	shop = endpoint.ClientView{ID: "shop", Name: "Lingon Market", URI: "https://shop.example/",
		TOSURI: "https://shop.example/terms", PolicyURI: "https://shop.example/privacy"}
	longName = endpoint.ClientView{ID: "long", Name: "The Association of Independent Booksellers and Stationers of the Northern Counties"}
	arabic   = endpoint.ClientView{ID: "arabic", Name: "متجر الزهور"}
)

// spokenTo is a request from a browser in one language, for pages that ask
// nobody else.
func spokenTo(r *http.Request, uiLocales []string) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Set("Accept-Language", strings.Join(uiLocales, ","))
	return r
}

// scenes are all pages in all states, in the order in which people meet them.
func scenes() []scene {
	var all []scene
	add := func(name string, show func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string)) {
		all = append(all, scene{name, show})
	}
	signIn := func(name string, v authorize.SignInView) {
		add("signin"+name, func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
			v.UILocales, v.Request = uiLocales, "sealed"
			u.SignIn(w, r, v)
		})
	}
	signIn("", authorize.SignInView{Client: shop, Region: "SE"})
	signIn("-account", authorize.SignInView{Client: endpoint.ClientView{Own: true}, Region: "SE"})
	signIn("-countries", authorize.SignInView{Client: shop, Region: "SE", Countries: []string{"IN", "SE", "NG"}})
	add("signin-no-country", func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
		r = r.Clone(r.Context())
		r.Header.Del("Accept-Language") // of which one would be guessed
		u.SignIn(w, r, authorize.SignInView{Client: arabic, UILocales: uiLocales, Request: "sealed"})
	})
	signIn("-prefilled", authorize.SignInView{Client: longName, Region: "SE", Phone: "+46 70 174 06 05"})
	for _, kind := range []authorize.ProblemKind{
		authorize.PhoneEmpty, authorize.PhoneNotANumber, authorize.PhoneTooShort, authorize.PhoneTooLong, authorize.PhoneCountry,
		authorize.PhoneInvalid, authorize.PhoneLandline, authorize.PhoneNeedsRegion, authorize.Locked, authorize.Limited, authorize.Unavailable,
	} {
		phone := "+46 70 174 06"
		if kind == authorize.PhoneEmpty {
			phone = ""
		}
		signIn("-"+strings.ReplaceAll(string(kind), "_", "-"), authorize.SignInView{Client: shop, Region: "SE", Phone: phone,
			Problem: &authorize.Problem{Kind: kind, RetryAt: time.Now().Add(4*time.Minute + 10*time.Second)}})
	}
	signIn("-confirm", authorize.SignInView{Client: shop, Region: "SE", Phone: "+46 70 174 06 05", Problem: &authorize.Problem{Kind: authorize.PhoneConfirm}})
	onAndroid := func(name string, v authorize.SignInView) {
		add("signin-android"+name, func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
			v.UILocales, v.Request = uiLocales, "sealed"
			v.OneTap = &authorize.OneTapView{Nonce: "sealed", Link: func(string) string { return "#" }}
			r = r.Clone(r.Context())
			r.Header.Set("Sec-CH-UA-Platform", `"Android"`)
			u.SignIn(w, r, v)
		})
	}
	limited := &authorize.Problem{Kind: authorize.Limited, RetryAt: time.Now().Add(4*time.Minute + 10*time.Second)}
	onAndroid("", authorize.SignInView{Client: shop, Region: "SE"})
	onAndroid("-problem", authorize.SignInView{Client: longName, Region: "SE", Phone: "+46 70 174 06", Problem: &authorize.Problem{Kind: authorize.PhoneTooShort}})
	onAndroid("-limited", authorize.SignInView{Client: shop, Region: "SE", Problem: limited})
	onAndroid("-only", authorize.SignInView{Client: shop, WithoutPush: true})
	onAndroid("-only-limited", authorize.SignInView{Client: shop, WithoutPush: true, Problem: limited})
	for _, told := range []string{"opened", "absent", "declined"} { // by the script
		add("signin-android-"+told, func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
			p := page{Client: showClient(shop), Request: "sealed", OneTap: &oneTapPage{Nonce: "sealed", Link: "#"}, Told: told}
			in := u.in(r, uiLocales)
			p.setCountry(r, in.countries(), "SE", nil)
			u.show(w, r, in, "signin", http.StatusOK, p, policy{})
		})
	}
	signIn("-elsewhere", authorize.SignInView{Client: shop, WithoutPush: true})
	signIn("-limited-for-hours", authorize.SignInView{Client: shop, Region: "SE", Phone: "+46 70 174 06 05",
		Problem: &authorize.Problem{Kind: authorize.Limited, RetryAt: time.Now().Add(5 * time.Hour)}})

	challenge := &authorize.ChallengeView{Sealed: "sealed", Seed: "0123456789abcdefghijkl", Bits: 18}
	signIn("-challenge", authorize.SignInView{Client: shop, Region: "SE", Challenge: challenge})
	signIn("-unsolved", authorize.SignInView{Client: shop, Region: "SE", Phone: "+46 70 174 06 05", Problem: &authorize.Problem{Kind: authorize.Unsolved},
		Challenge: &authorize.ChallengeView{Sealed: "sealed", Seed: challenge.Seed, Bits: 18, Without: time.Now().Add(9 * time.Minute)}})
	signIn("-few-tries", authorize.SignInView{Client: shop, Region: "SE", Tries: &login.Tries{Left: 2}})
	signIn("-no-tries", authorize.SignInView{Client: shop, Region: "SE", Tries: &login.Tries{Next: time.Now().Add(11 * time.Minute)}})

	attempt := func(name string, client endpoint.ClientView, state login.State, reason login.Reason, again time.Duration, left ...int) {
		add(name, func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
			v := authorize.AttemptView{ID: "AAAAAAAAAAAAAAAAAAAAAA", State: state, Reason: reason, Number: "+46•••••0605", Client: client, App: client.Name,
				UILocales: uiLocales, Expires: time.Now().Add(4*time.Minute + 42*time.Second), AgainAt: time.Now().Add(again)}
			for _, n := range left {
				v.Tries = &login.Tries{Left: n}
			}
			p := attemptPage(v)
			p.Still = true
			in := u.in(r, uiLocales)
			switch {
			case state == login.Waiting:
				u.show(w, r, in, "waiting", http.StatusOK, p, policy{}) // without its script, which would ask for the attempt
			case state == login.Approved:
				p.Success, p.Onward = true, "#"
				u.show(w, r, in, "onward", http.StatusOK, p, policy{})
			case state == login.Done:
				p.Onward = "#"
				u.show(w, r, in, "onward", http.StatusOK, p, policy{})
			default:
				u.ended(w, r, v)
			}
		})
	}
	attempt("waiting", shop, login.Waiting, "", 4*time.Minute+42*time.Second)
	add("waiting-android", func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
		p := attemptPage(authorize.AttemptView{ID: "AAAAAAAAAAAAAAAAAAAAAA", State: login.Waiting, Client: shop, Number: "+46•••••0605",
			Expires: time.Now().Add(4*time.Minute + 42*time.Second), AgainAt: time.Now().Add(4*time.Minute + 42*time.Second)})
		p.Still, p.Truecaller = true, openTruecaller
		u.show(w, r, u.in(r, uiLocales), "waiting", http.StatusOK, p, policy{})
	})
	onPhone := func(name string, v authorize.AttemptView) {
		v.ID, v.Method, v.Client, v.App = "AAAAAAAAAAAAAAAAAAAAAA", login.OneTap, shop, "Lingon Market"
		add(name, func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
			v.UILocales, v.Expires = uiLocales, time.Now().Add(4*time.Minute+42*time.Second)
			if v.State.Terminal() {
				u.ended(w, r, v)
				return
			}
			p := attemptPage(v)
			p.Still, p.Link = true, "#"
			u.show(w, r, u.in(r, uiLocales), "waiting", http.StatusOK, p, policy{})
		})
	}
	onPhone("waiting-onetap", authorize.AttemptView{State: login.Waiting})
	onPhone("waiting-onetap-opened", authorize.AttemptView{State: login.Waiting, Opened: true})
	onPhone("waiting-onetap-only", authorize.AttemptView{State: login.Waiting, WithoutPush: true})
	onPhone("declined-onetap", authorize.AttemptView{State: login.Rejected, Reason: login.UserRejected})
	onPhone("expired-onetap", authorize.AttemptView{State: login.Expired})
	onPhone("several-numbers", authorize.AttemptView{State: login.Failed, Reason: login.SeveralNumbers})
	onPhone("several-numbers-only", authorize.AttemptView{State: login.Failed, Reason: login.SeveralNumbers, WithoutPush: true})
	attempt("waiting-again", longName, login.Waiting, "", 0)
	attempt("waiting-few-tries", shop, login.Waiting, "", 4*time.Minute+42*time.Second, 1)
	attempt("waiting-last-try", shop, login.Waiting, "", 12*time.Hour, 0)
	attempt("approved", shop, login.Approved, "", 0)
	attempt("declined", shop, login.Rejected, login.UserRejected, 0)
	attempt("declined-cooling-down", shop, login.Rejected, login.UserRejected, 15*time.Minute)
	attempt("declined-few-tries", shop, login.Rejected, login.UserRejected, 0, 2)
	attempt("another-number", shop, login.Rejected, login.AnotherNumber, 0)
	attempt("cancelled", shop, login.Rejected, login.Cancelled, 4*time.Minute)
	attempt("expired", shop, login.Expired, "", time.Minute)
	attempt("mismatch", shop, login.Failed, login.PhoneMismatch, 0)
	attempt("unavailable", shop, login.Failed, login.Unavailable, 0)
	attempt("failed", shop, login.Failed, login.ProfileFailed, 0)
	attempt("leaving", shop, login.Done, "", 0)

	add("consent", func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
		u.Consent(w, r, authorize.ConsentView{Client: shop, Request: "sealed", Scopes: claims.Scopes, Number: "+46•••••0605", UILocales: uiLocales})
	})
	add("consent-little", func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
		u.Consent(w, r, authorize.ConsentView{Client: longName, Request: "sealed", Scopes: []string{claims.OpenID, claims.Phone}, Number: "+46•••••0605", UILocales: uiLocales})
	})
	addAccount := func(name string, v account.AccountView) {
		add("account"+name, func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
			u.Account(w, spokenTo(r, uiLocales), v)
		})
	}
	hour, now := time.Hour, time.Now()
	laptop := account.SessionView{ID: "one", Device: session.Device{Browser: "Firefox", OS: "Windows"}, Created: now, LastUsed: now, Here: true}
	addAccount("", account.AccountView{
		Name: "Asha Rao", Number: "+46•••••0605", Token: "token", Did: account.DidRevoke,
		Applications: []account.ApplicationView{
			{Client: shop, Scopes: []string{claims.OpenID, claims.Phone}, Since: now.Add(-1000 * hour), LastUsed: now.Add(-hour)},
			{Client: longName, Scopes: claims.Scopes, Since: now.Add(-20000 * hour), LastUsed: now.Add(-100 * hour)},
			{Client: arabic, Scopes: []string{claims.OpenID}, Since: now.Add(-3 * hour), LastUsed: now},
		},
		Sessions: []account.SessionView{laptop,
			{ID: "two", Device: session.Device{Browser: "Samsung Internet", OS: "Android"}, Country: "SE", Created: now.Add(-70 * hour), LastUsed: now.Add(-2 * hour)},
			{ID: "three", Created: now.Add(-9000 * hour), LastUsed: now.Add(-800 * hour)},
		},
	})
	addAccount("-empty", account.AccountView{Number: "+46•••••0611", NumberLost: true, Token: "token", Sessions: []account.SessionView{laptop}})
	for _, step := range []account.AccountStep{account.StepDownload, account.StepDelete, account.StepDeleted} {
		v := account.AccountStepView{Step: step, Number: "+46•••••0605", Token: "token"}
		if step == account.StepDeleted {
			v = account.AccountStepView{Step: step}
		}
		add("account-"+string(step), func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
			u.AccountStep(w, spokenTo(r, uiLocales), v)
		})
	}
	add("form-post", func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
		u.show(w, r, u.in(r, uiLocales), "formpost", http.StatusOK, page{Action: "#", Fields: [][2]string{{"code", "x"}}}, policy{})
	})
	add("sign-out", func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
		u.ConfirmSignOut(w, r, logout.SignOutView{UILocales: uiLocales})
	})
	add("sign-out-client", func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
		u.ConfirmSignOut(w, r, logout.SignOutView{Client: shop, UILocales: uiLocales})
	})
	add("signed-out", func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
		u.SignedOut(w, r, logout.SignedOutView{UILocales: uiLocales})
	})
	add("signed-out-client", func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
		u.SignedOut(w, r, logout.SignedOutView{Client: shop, UILocales: uiLocales})
	})
	for kind := range statuses {
		v := endpoint.ErrorView{Kind: kind, Correlation: "01JD7K3W9QX4T8Z2"}
		if kind == endpoint.ErrorRedirectURI {
			v.Detail = "redirect_uri https://shop.example/callback/ is not registered for the client shop.\nRegistered: https://shop.example/callback"
		}
		add("error-"+strings.ReplaceAll(string(kind), "_", "-"), func(u *UI, w http.ResponseWriter, r *http.Request, uiLocales []string) {
			v := v
			v.UILocales = uiLocales
			u.Error(w, r, v)
		})
	}
	slices.SortStableFunc(all, func(a, b scene) int {
		if strings.HasPrefix(a.name, "error-") && strings.HasPrefix(b.name, "error-") {
			return cmp.Compare(a.name, b.name)
		}
		return 0
	})
	return all
}

var galleryList = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Gallery</title>
<link rel="stylesheet" href="{{.Style}}"></head><body><main><h1>Gallery</h1>
<ul>{{range $name := .Scenes}}<li>{{$name}}{{range $lang, $own := $.Languages}} · <a href="/gallery/{{$name}}?lang={{$lang}}" hreflang="{{$lang}}" lang="{{$lang}}">{{$own}}</a>
(<a href="/gallery/{{$name}}?lang={{$lang}}&amp;theme=light">light</a>, <a href="/gallery/{{$name}}?lang={{$lang}}&amp;theme=dark">dark</a>){{end}}</li>
{{end}}</ul></main></body></html>
`))

func (g *gallery) list(w http.ResponseWriter, r *http.Request) {
	names := []string{}
	for _, s := range scenes() {
		names = append(names, s.name)
	}
	own := map[string]string{}
	for _, s := range g.languages.all {
		own[s.Tag] = s.texts["language"]["other"]
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	galleryList.Execute(w, map[string]any{"Style": g.base + pathStatic + g.static.style, "Scenes": names, "Languages": own})
}

func (g *gallery) page(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	r = r.Clone(r.Context())
	r.Header.Del("Cookie") // the address says the language
	for _, s := range scenes() {
		if s.name == r.PathValue("page") {
			s.show(g.dressed(query.Get("theme"), query.Get("dir")), w, r, []string{query.Get("lang")})
			return
		}
	}
	g.answer(w, r, errNoPage)
}

// dressed is the UI with another stylesheet, or another direction of writing.
func (g *gallery) dressed(theme, dir string) *UI {
	static := *g.static
	if style, ok := g.styles[theme]; ok {
		static.style = style
	}
	spoke := *g.languages
	if dir == "ltr" || dir == "rtl" {
		spoke.all = slices.Clone(spoke.all)
		for i := range spoke.all {
			turned := *spoke.all[i]
			turned.Dir = dir
			spoke.all[i] = &turned
		}
	}
	return &UI{Config: g.Config, base: g.base, origin: g.origin, static: &static, languages: &spoke, buttons: g.buttons, draining: g.draining, beat: g.beat, patience: g.patience}
}
