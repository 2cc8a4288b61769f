// SPDX-License-Identifier: Apache-2.0

// Package demo is the application of `calleridp dev`: a relying party that shows
// the claims it received. It uses the libraries that most Go applications use,
// coreos/go-oidc and golang.org/x/oauth2.
package demo

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Config configures the demo. All fields are required.
type Config struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	BaseURL      string       // URL of the demo, without a trailing slash
	Phone        string       // URL of the simulated phone, for a link
	Tokens       string       // the colours of the provider's pages, as CSS
	HTTP         *http.Client // trusts the issuer's certificate
	Log          *slog.Logger
}

// Demo is the application. It keeps its sessions in memory.
type Demo struct {
	cfg Config

	mu       sync.Mutex
	provider *oidc.Provider // nil until first needed
	sessions map[string]session
}

// session is a signed-in browser, found by its cookie.
type session struct {
	idToken  string
	requests []string       // what was sent for it
	claims   map[string]any // of the ID token
	userinfo map[string]any
}

// New returns the application. It fetches the provider's discovery document when
// it first needs it.
func New(c Config) *Demo { return &Demo{cfg: c, sessions: map[string]session{}} }

// Handler serves these paths:
//
//	GET /          the claims, or a button to sign in
//	GET /login     redirects to the provider, with this request's parameters added
//	GET /callback  the redirect URI
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
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), d.cfg.HTTP), d.cfg.Issuer)
	if err == nil {
		d.provider = p
	}
	return p, err
}

func (d *Demo) config(p *oidc.Provider) oauth2.Config {
	return oauth2.Config{
		ClientID:     d.cfg.ClientID,
		ClientSecret: d.cfg.ClientSecret,
		Endpoint:     p.Endpoint(),
		RedirectURL:  d.cfg.BaseURL + "/callback",
		Scopes:       []string{oidc.ScopeOpenID, "profile", "email", "phone", "address", "truecaller", oidc.ScopeOfflineAccess},
	}
}

const (
	flowCookie    = "demo_flow"
	sessionCookie = "demo_session"
)

// flow is the state of a sign-in, in a cookie of the browser that began it.
type flow struct{ State, Nonce, Verifier string }

func (d *Demo) login(w http.ResponseWriter, r *http.Request) {
	p, err := d.discover(r.Context())
	if err != nil {
		d.fail(w, "The provider cannot be reached.", err)
		return
	}
	f := flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	raw, err := json.Marshal(f)
	if err != nil {
		d.fail(w, "The sign-in could not begin.", err)
		return
	}
	// Each sign-in has a cookie, so that two tabs do not interfere.
	http.SetCookie(w, &http.Cookie{
		Name:     flowCookie + f.State,
		Value:    base64.RawURLEncoding.EncodeToString(raw),
		Path:     "/callback",
		MaxAge:   1800,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	for name, values := range r.URL.Query() {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	config := d.config(p)
	http.Redirect(w, r, config.AuthCodeURL(f.State, options...), http.StatusFound)
}

func (d *Demo) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f, err := d.takeFlow(w, r, q.Get("state"))
	if _, signedIn := d.session(r); err != nil && signedIn {
		// The Back button: this response was used, and the browser is signed in.
		http.Redirect(w, r, "/claims", http.StatusSeeOther)
		return
	}
	if err != nil {
		d.fail(w, "This response belongs to no sign-in of this browser.", err)
		return
	}
	// RFC 9207 §2.4: the response must come from the provider of the request.
	if q.Get("iss") != d.cfg.Issuer {
		d.fail(w, "The response came from another issuer.", errors.New("iss is "+q.Get("iss")))
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
	s, err := d.exchange(oidc.ClientContext(r.Context(), d.cfg.HTTP), p, f, q)
	if err != nil {
		d.fail(w, "The sign-in could not be completed.", err)
		return
	}
	id := rand.Text()
	d.mu.Lock()
	d.sessions[id] = s
	d.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/claims", http.StatusSeeOther)
}

// takeFlow returns the sign-in with this state and deletes its cookie.
func (d *Demo) takeFlow(w http.ResponseWriter, r *http.Request, state string) (f flow, err error) {
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

// exchange redeems the code, verifies the ID token and fetches userinfo.
func (d *Demo) exchange(ctx context.Context, p *oidc.Provider, f flow, q url.Values) (session, error) {
	config := d.config(p)
	token, err := config.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return session{}, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: d.cfg.ClientID}).Verify(ctx, raw)
	if err != nil {
		return session{}, err
	}
	if id.Nonce != f.Nonce {
		return session{}, errors.New("the nonce differs")
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		return session{}, err
	}
	s := session{idToken: raw, requests: []string{
		"GET " + config.Endpoint.AuthURL, "POST " + config.Endpoint.TokenURL, "GET " + p.UserInfoEndpoint(),
	}}
	if err := id.Claims(&s.claims); err != nil {
		return session{}, err
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return session{}, err
	}
	return s, info.Claims(&s.userinfo)
}

func (d *Demo) session(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return session{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.sessions[cookie.Value]
	return s, ok
}

func (d *Demo) home(w http.ResponseWriter, r *http.Request) {
	if _, ok := d.session(r); ok {
		http.Redirect(w, r, "/claims", http.StatusSeeOther)
		return
	}
	d.show(w, http.StatusOK, view{Title: "Demo shop", SignIn: true, Phone: d.cfg.Phone})
}

func (d *Demo) claims(w http.ResponseWriter, r *http.Request) {
	s, ok := d.session(r)
	if !ok {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	d.show(w, http.StatusOK, view{
		Title:    "Signed in",
		Account:  d.cfg.Issuer + "/account",
		Person:   personOf(s.claims),
		IDToken:  rows(s.claims),
		Userinfo: rows(s.userinfo),
		Requests: s.requests,
	})
}

func (d *Demo) logout(w http.ResponseWriter, r *http.Request) {
	s, ok := d.session(r)
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
		delete(d.sessions, cookie.Value)
	}
	d.mu.Unlock()
	q := url.Values{"id_token_hint": {s.idToken}, "post_logout_redirect_uri": {d.cfg.BaseURL + "/"}}
	http.Redirect(w, r, metadata.EndSession+"?"+q.Encode(), http.StatusSeeOther)
}
