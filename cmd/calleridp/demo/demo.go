// Package demo is the application of `calleridp dev`: an ordinary relying party
// that shows the claims it received. It uses the clients that most Go
// applications use, coreos/go-oidc and golang.org/x/oauth2.
package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"sort"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Config is what the demo needs.
type Config struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	BaseURL      string       // of the demo itself, without a trailing slash
	Phone        string       // address of the simulated phone, for a link
	HTTP         *http.Client // trusts the issuer's certificate
	Log          *slog.Logger
}

// Demo is the application. What it knows of people it keeps in memory.
type Demo struct {
	Config
	mu       sync.Mutex
	provider *oidc.Provider
	people   map[string]person // by the session cookie
}

type person struct {
	idToken string
	claims  map[string]any
	user    map[string]any
}

// New makes the application. It asks for the provider's discovery document when
// it is first needed.
func New(c Config) *Demo { return &Demo{Config: c, people: map[string]person{}} }

// Handler serves it:
//
//	GET /          who is signed in, or a button
//	GET /login     to the provider; its parameters are added to the request
//	GET /callback  back from the provider
//	GET /claims    the claims
//	GET /logout    signs out, here and at the provider
func (d *Demo) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.home)
	mux.HandleFunc("GET /login", d.login)
	mux.HandleFunc("GET /callback", d.callback)
	mux.HandleFunc("GET /claims", d.claims)
	mux.HandleFunc("GET /logout", d.logout)
	return mux
}

func (d *Demo) discover(ctx context.Context) (*oidc.Provider, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.provider != nil {
		return d.provider, nil
	}
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), d.HTTP), d.Issuer)
	if err == nil {
		d.provider = p
	}
	return p, err
}

func (d *Demo) config(p *oidc.Provider) oauth2.Config {
	return oauth2.Config{
		ClientID: d.ClientID, ClientSecret: d.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: d.BaseURL + "/callback",
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", "phone", "address", "truecaller", oidc.ScopeOfflineAccess},
	}
}

const (
	flowCookie    = "demo_flow"
	sessionCookie = "demo_session"
)

// flow is what the application remembers of a sign-in, in a cookie of the
// browser that began it.
type flow struct{ State, Nonce, Verifier string }

func (d *Demo) login(w http.ResponseWriter, r *http.Request) {
	p, err := d.discover(r.Context())
	if err != nil {
		d.fail(w, "The provider cannot be reached.", err)
		return
	}
	f := flow{rand.Text(), rand.Text(), oauth2.GenerateVerifier()}
	raw, err := json.Marshal(f)
	if err != nil {
		d.fail(w, "The sign-in could not begin.", err)
		return
	}
	// One cookie for each sign-in, so that two tabs do not disturb each other.
	http.SetCookie(w, &http.Cookie{Name: flowCookie + f.State, Value: base64.RawURLEncoding.EncodeToString(raw), Path: "/callback", MaxAge: 1800, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	for name, values := range r.URL.Query() {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	config := d.config(p)
	http.Redirect(w, r, config.AuthCodeURL(f.State, options...), http.StatusFound)
}

func (d *Demo) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f, err := d.flow(w, r, q.Get("state"))
	if _, signedIn := d.person(r); err != nil && signedIn {
		// The Back button: this answer was used, and the person is signed in.
		http.Redirect(w, r, "/claims", http.StatusSeeOther)
		return
	}
	if err != nil {
		d.fail(w, "This answer belongs to no sign-in of this browser.", err)
		return
	}
	// RFC 9207 §2.4: the answer must come from the provider that was asked.
	if q.Get("iss") != d.Issuer {
		d.fail(w, "The answer came from another issuer.", errors.New("iss is "+q.Get("iss")))
		return
	}
	if q.Get("error") != "" {
		d.show(w, http.StatusOK, view{Title: "Not signed in", Note: q.Get("error") + ": " + q.Get("error_description")})
		return
	}
	p, err := d.discover(r.Context())
	if err != nil {
		d.fail(w, "The provider cannot be reached.", err)
		return
	}
	who, err := d.exchange(oidc.ClientContext(r.Context(), d.HTTP), p, f, q)
	if err != nil {
		d.fail(w, "The sign-in could not be completed.", err)
		return
	}
	session := rand.Text()
	d.mu.Lock()
	d.people[session] = who
	d.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/claims", http.StatusSeeOther)
}

func (d *Demo) flow(w http.ResponseWriter, r *http.Request, state string) (f flow, err error) {
	cookie, err := r.Cookie(flowCookie + state)
	if err != nil {
		return flow{}, err
	}
	http.SetCookie(w, &http.Cookie{Name: flowCookie + state, Path: "/callback", MaxAge: -1})
	raw, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return flow{}, err
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return flow{}, err
	}
	if subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) != 1 {
		return flow{}, errors.New("the state differs")
	}
	return f, nil
}

func (d *Demo) exchange(ctx context.Context, p *oidc.Provider, f flow, q url.Values) (person, error) {
	config := d.config(p)
	token, err := config.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return person{}, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: d.ClientID}).Verify(ctx, raw)
	if err != nil {
		return person{}, err
	}
	if id.Nonce != f.Nonce {
		return person{}, errors.New("the nonce differs")
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		return person{}, err
	}
	who := person{idToken: raw}
	if err := id.Claims(&who.claims); err != nil {
		return person{}, err
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return person{}, err
	}
	return who, info.Claims(&who.user)
}

func (d *Demo) person(r *http.Request) (person, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return person{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	who, ok := d.people[cookie.Value]
	return who, ok
}

func (d *Demo) home(w http.ResponseWriter, r *http.Request) {
	if _, ok := d.person(r); ok {
		http.Redirect(w, r, "/claims", http.StatusSeeOther)
		return
	}
	d.show(w, http.StatusOK, view{Title: "Demo shop", SignIn: true, Phone: d.Phone})
}

func (d *Demo) claims(w http.ResponseWriter, r *http.Request) {
	who, ok := d.person(r)
	if !ok {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	d.show(w, http.StatusOK, view{Title: "Signed in", Account: d.Issuer + "/account", IDToken: rows(who.claims), Userinfo: rows(who.user)})
}

func (d *Demo) logout(w http.ResponseWriter, r *http.Request) {
	who, ok := d.person(r)
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1})
	p, err := d.discover(r.Context())
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if !ok || err != nil || p.Claims(&metadata) != nil || metadata.EndSession == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	d.mu.Lock()
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		delete(d.people, cookie.Value)
	}
	d.mu.Unlock()
	q := url.Values{"id_token_hint": {who.idToken}, "post_logout_redirect_uri": {d.BaseURL + "/"}}
	http.Redirect(w, r, metadata.EndSession+"?"+q.Encode(), http.StatusSeeOther)
}

type view struct {
	Title, Note, Phone, Account, Nonce, CSS string
	SignIn                                  bool
	IDToken, Userinfo                       []row
}

func (v view) Style() template.CSS { return template.CSS(v.CSS) }

// row is a claim, readable.
type row struct{ Name, Value, Meaning string }

func rows(claims map[string]any) []row {
	var all []row
	for name, value := range claims {
		r := row{Name: name}
		switch v := value.(type) {
		case string:
			r.Value = v
		case float64:
			raw, _ := json.Marshal(int64(v))
			r.Value = string(raw)
			if v > 1e9 {
				r.Meaning = time.Unix(int64(v), 0).UTC().Format("2006-01-02 15:04:05 MST")
			}
		default:
			raw, _ := json.Marshal(v)
			r.Value = string(raw)
		}
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

//go:embed page.html page.css
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

func (d *Demo) show(w http.ResponseWriter, status int, v view) {
	css, err := files.ReadFile("page.css")
	if err != nil {
		panic(err) // it is embedded
	}
	v.CSS, v.Nonce = string(css), rand.Text()
	var body bytes.Buffer
	if err := page.Execute(&body, v); err != nil {
		d.Log.Error("demo: a page could not be drawn", "error", err)
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+v.Nonce+"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

func (d *Demo) fail(w http.ResponseWriter, what string, err error) {
	d.Log.Warn("demo", "what", what, "error", err)
	d.show(w, http.StatusBadGateway, view{Title: "It did not work", Note: what})
}
