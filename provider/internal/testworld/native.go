// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"net/url"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// The token exchange of native sign-in (RFC 8693).
const (
	ExchangeGrant      = "urn:ietf:params:oauth:grant-type:token-exchange"
	TruecallerCodeType = "urn:calleridp:params:oauth:token-type:truecaller-code"
	AccessTokenType    = "urn:ietf:params:oauth:token-type:access_token"
	SDKCode            = "code-of-the-sdk"
)

// nativeClients returns the further clients of a World with native sign-in.
func nativeClients() []client.Client {
	hash := []client.SecretHash{client.HashSecret(Secret)}
	return []client.Client{
		{ID: "native", Name: "Android app", Public: true, Native: true, TruecallerApp: "nat"},
		{ID: "native-too", Public: true, Native: true, TruecallerApp: "nat"},
		{
			ID:            "backend",
			SecretHashes:  hash,
			Native:        true,
			TruecallerApp: "nat",
			RedirectURIs:  []string{"https://backend.example/cb"},
		},
		{
			ID:            "native-pair",
			Public:        true,
			Native:        true,
			Pairwise:      true,
			SectorHost:    "pair.example",
			TruecallerApp: "nat",
		},
		{ID: "native-narrow", Public: true, Native: true, Scopes: []string{"openid", "phone"}, TruecallerApp: "nat"},
		{ID: "native-lost", Public: true, Native: true, TruecallerApp: "one"}, // an app without an OAuth client id
		{ID: "web-of-nat", SecretHashes: hash, RedirectURIs: []string{"https://nat.example/cb"}, TruecallerApp: "nat"},
	}
}

// NewNative returns a World with native sign-in, and the double of Truecaller's
// OAuth interface.
func NewNative(t testing.TB, change ...func(*Config)) (*World, *OAuth) {
	t.Helper()
	oauth := &OAuth{Profile: truecaller.Profile{
		OAuthSub:  "90071992547409931",
		Numbers:   []phone.Number{ParseNumber(t, Number)},
		FirstName: "Asha",
		LastName:  "Rao",
		Email:     "asha@example.com",
		AvatarURL: "https://img.example/a.png",
		Gender:    "female",
		Addresses: []truecaller.Address{{City: "Stockholm", Zipcode: "111 43"}},
	}}
	native := func(c *Config) {
		app := truecaller.App{ID: "nat", Name: "Nat", NativeClientID: "truecaller-client-id", WithoutPush: true}
		c.Login.Apps[app.ID], c.Provider.Apps.ByID[app.ID] = app, app
		c.Login.Exchanger = oauth
		c.Clients = append(c.Clients, nativeClients()...)
		c.ClientApps = append(c.ClientApps, client.App{ID: app.ID, Native: true})
	}
	return New(t, append([]func(*Config){native}, change...)...), oauth
}

// ExchangeRequest returns a valid token exchange of the client, changed by pairs
// of name and value. The value "-" leaves a parameter out.
func ExchangeRequest(clientID string, pairs ...string) url.Values {
	return changed(url.Values{
		"grant_type":         {ExchangeGrant},
		"subject_token":      {SDKCode},
		"subject_token_type": {TruecallerCodeType},
		"code_verifier":      {Verifier},
		"scope":              {AllScopes},
		"client_id":          {clientID},
	}, pairs)
}

// NativeTokens signs in natively.
func (w *World) NativeTokens(clientID string, pairs ...string) Tokens {
	w.t.Helper()
	return TokensIn(w.t, w.Post("/token", ExchangeRequest(clientID, pairs...)))
}

// StorePushed stores the user of a profile as a sign-in by push does.
func (w *World) StorePushed(p truecaller.Profile) {
	w.t.Helper()
	now := time.Now()
	a := login.Attempt{
		ID:      "pushed",
		Method:  login.Push,
		State:   login.Approved,
		Number:  p.Numbers[0],
		Created: now,
		Expires: now.Add(time.Minute),
	}
	if err := w.Store.CreateAttempt(w.t.Context(), a, limit.Spend{}, now); err != nil {
		w.t.Fatal(err)
	}
	signIn := subject.SignIn{Number: a.Number, Profile: p, At: now, NewSub: subject.NewSub()}
	approve := func(a login.Attempt, known *subject.Person) (login.Approval, error) {
		person, _ := subject.Policy{}.Resolve(known, signIn)
		return login.Approval{Attempt: a, Person: person}, nil
	}
	if _, err := w.Store.ApproveAttempt(w.t.Context(), a.ID, a.Number, approve); err != nil {
		w.t.Fatal(err)
	}
}
