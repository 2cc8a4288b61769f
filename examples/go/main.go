// SPDX-License-Identifier: Apache-2.0

// An application that signs users in with Truecaller, through coreos/go-oidc and
// golang.org/x/oauth2.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

var (
	port   = cmp.Or(os.Getenv("PORT"), "3000")
	home   = cmp.Or(os.Getenv("HOME_URL"), "http://localhost:"+port+"/") // https:// in production
	issuer = cmp.Or(os.Getenv("ISSUER"), "http://127.0.0.1:9440")
	client = oauth2.Config{
		ClientID:     cmp.Or(os.Getenv("CLIENT_ID"), "example-go"),
		ClientSecret: cmp.Or(os.Getenv("CLIENT_SECRET"), "example-go-secret"),
		RedirectURL:  home + "callback",
		Scopes:       []string{oidc.ScopeOpenID, "profile", "phone"},
	}
	provider   *oidc.Provider
	endSession string

	mu       sync.Mutex
	sessions = map[string]user{} // by the session cookie; use a database for more than one process
)

// A user is who is signed in. Sub is the key of their account: numbers change hands.
type user struct {
	Sub   string `json:"sub"`
	Name  string `json:"name"`
	Phone string `json:"phone_number"`

	idToken string
}

func main() {
	var err error
	if provider, err = oidc.NewProvider(context.Background(), issuer); err != nil {
		log.Fatal(err)
	}
	client.Endpoint = provider.Endpoint()
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&metadata); err != nil {
		log.Fatal(err)
	}
	endSession = metadata.EndSession

	http.HandleFunc("GET /{$}", showHome)
	http.HandleFunc("GET /login", login)
	http.HandleFunc("GET /callback", callback)
	http.HandleFunc("POST /logout", logout)
	log.Printf("listening at %s", home)
	log.Fatal(http.ListenAndServe("localhost:"+port, nil))
}

func showHome(w http.ResponseWriter, r *http.Request) {
	mu.Lock()
	defer mu.Unlock()
	if u, ok := sessions[cookie(r, "session")]; ok {
		show(w, http.StatusOK, "user", u)
	} else {
		show(w, http.StatusOK, "guest", nil)
	}
}

// login begins a sign-in. Each has a cookie, so that two tabs do not interfere: its name is
// the state, and its value the PKCE verifier and the nonce.
func login(w http.ResponseWriter, r *http.Request) {
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	setCookie(w, "flow-"+state, verifier+"."+nonce, 1800)
	http.Redirect(w, r, client.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce)), http.StatusFound)
}

func callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	flow := "flow-" + q.Get("state")
	verifier, nonce, ok := strings.Cut(cookie(r, flow), ".")
	if !ok || q.Get("iss") != issuer { // RFC 9207
		show(w, http.StatusBadRequest, "problem", "This response belongs to no sign-in of this browser.")
		return
	}
	setCookie(w, flow, "", -1)
	if q.Get("error") != "" { // such as access_denied: the user cancelled
		show(w, http.StatusBadRequest, "problem", q.Get("error")+": "+q.Get("error_description"))
		return
	}
	u, err := exchange(r.Context(), q.Get("code"), verifier, nonce)
	if err != nil {
		log.Print(err)
		show(w, http.StatusBadGateway, "problem", "The sign-in could not be completed.")
		return
	}
	id := rand.Text() // a new session, whatever cookie the browser had
	mu.Lock()
	sessions[id] = u
	mu.Unlock()
	setCookie(w, "session", id, 0)
	http.Redirect(w, r, home, http.StatusSeeOther)
}

// exchange redeems the code and verifies the ID token.
func exchange(ctx context.Context, code, verifier, nonce string) (u user, err error) {
	tokens, err := client.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return user{}, err
	}
	u.idToken, _ = tokens.Extra("id_token").(string)
	verified, err := provider.Verifier(&oidc.Config{ClientID: client.ClientID}).Verify(ctx, u.idToken)
	if err != nil {
		return user{}, err
	}
	if verified.Nonce != nonce {
		return user{}, errors.New("the ID token has another nonce")
	}
	err = verified.Claims(&u)
	return u, err
}

// logout ends the session here, and sends the browser to end the provider's.
func logout(w http.ResponseWriter, r *http.Request) {
	id := cookie(r, "session")
	mu.Lock()
	u := sessions[id]
	delete(sessions, id)
	mu.Unlock()
	setCookie(w, "session", "", -1)
	q := url.Values{"client_id": {client.ClientID}, "post_logout_redirect_uri": {home}}
	if u.idToken != "" {
		q.Set("id_token_hint", u.idToken) // without it, the provider asks the user
	}
	http.Redirect(w, r, endSession+"?"+q.Encode(), http.StatusSeeOther)
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(home, "https:"),
	})
}

var pages = template.Must(template.New("").Parse(`
{{define "guest"}}<!doctype html><title>Example</title><a href="/login">Sign in with Truecaller</a>{{end}}
{{define "user"}}<!doctype html><title>Example</title>
<p>Name: <b id="name">{{.Name}}</b><p>Phone number: <b id="phone">{{.Phone}}</b>
<form method="post" action="/logout"><button>Sign out</button></form>{{end}}
{{define "problem"}}<!doctype html><title>Example</title><p id="error">{{.}}<p><a href="/login">Try again</a>{{end}}`))

func show(w http.ResponseWriter, status int, page string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, page, data); err != nil {
		log.Print(err)
	}
}
