// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// What every World has in common.
const (
	Issuer      = "https://id.example"
	Number      = "+46701740605"
	OtherNumber = "+46701740606"
	Verifier    = "abcdefghijklmnopqrstuvwxyz-0123456789.ABCDEFG~" // PKCE
	Secret      = "the-secret-of-app"                              // of all confidential clients
	Browser     = "the-browser-cookie-of-a-test"
	Network     = "192.0.2.1/32" // that of httptest's requests

	// AllScopes are the scopes that the provider knows.
	AllScopes = "openid profile email phone address truecaller offline_access"
)

// Master returns the master key.
var Master = sync.OnceValue(func() *keys.Master {
	m, err := keys.NewMaster(bytes.Repeat([]byte{7}, keys.MasterSize))
	if err != nil {
		panic(err)
	}
	return m
})

// Ring returns the signing keys, which all Worlds share because RSA keys are slow
// to make. A test with a synctest bubble calls it before, because keys have times.
var Ring = sync.OnceValue(func() *keys.Ring {
	r, err := keys.OpenRing(context.Background(), keys.Config{
		Store:  &oneKeySet{},
		Master: Master(),
		Log:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	return r
})

// oneKeySet is a key store for one ring.
type oneKeySet struct {
	records []keys.Record
	version uint64
}

func (s *oneKeySet) SigningKeys(context.Context) ([]keys.Record, uint64, error) {
	return s.records, s.version, nil
}

func (s *oneKeySet) ReplaceSigningKeys(_ context.Context, records []keys.Record, version uint64) error {
	s.records, s.version = records, version+1
	return nil
}

// Clients returns the clients of every World.
func Clients() []client.Client {
	hash := []client.SecretHash{client.HashSecret(Secret)}
	hour := time.Hour
	return append([]client.Client{
		{
			ID:                     "app",
			Name:                   "App",
			SecretHashes:           hash,
			RedirectURIs:           []string{"https://app.example/cb", "https://app.example/cb?with=query"},
			PostLogoutRedirectURIs: []string{"https://app.example/bye"},
			AllowedOrigins:         []string{"https://app.example"},
			TruecallerApp:          "one",
		},
		{
			ID:             "public",
			Name:           "Public",
			Public:         true,
			RedirectURIs:   []string{"com.example.app:/cb", "http://127.0.0.1/cb"},
			AllowedOrigins: []string{"https://spa.example"},
		},
		{
			ID:           "old",
			Name:         "Old",
			SecretHashes: hash,
			WithoutPKCE:  true,
			RedirectURIs: []string{"https://old.example/cb"},
		},
		{ID: "es256", SecretHashes: hash, IDTokenAlg: "ES256", RedirectURIs: []string{"https://es.example/cb"}},
		{ID: "eddsa", SecretHashes: hash, IDTokenAlg: "EdDSA", RedirectURIs: []string{"https://ed.example/cb"}},
		{
			ID:                     "pair",
			SecretHashes:           hash,
			Pairwise:               true,
			RedirectURIs:           []string{"https://pair.example/cb"},
			PostLogoutRedirectURIs: []string{"https://pair.example/bye"},
		},
		{
			ID:            "tap",
			Name:          "Tap",
			SecretHashes:  hash,
			TruecallerApp: "tap",
			PolicyURI:     "https://tap.example/privacy",
			RedirectURIs:  []string{"https://tap.example/cb"},
		},
		{
			ID:           "narrow",
			SecretHashes: hash,
			Scopes:       []string{"openid", "phone"},
			RedirectURIs: []string{"https://narrow.example/cb"},
		},
		{
			ID:           "third",
			Name:         "Third party",
			SecretHashes: hash,
			Consent:      client.ConsentRemember,
			RedirectURIs: []string{"https://third.example/cb"},
		},
		{
			ID:           "wary",
			SecretHashes: hash,
			Consent:      client.ConsentAlways,
			RedirectURIs: []string{"https://wary.example/cb"},
		},
		{ID: "hourly", SecretHashes: hash, DefaultMaxAge: &hour, RedirectURIs: []string{"https://hourly.example/cb"}},
	}, assertionClients()...)
}

// EveryResponseType turns every response type on, for the deployment and all clients.
func EveryResponseType(c *Config) {
	c.Provider.ResponseTypes = client.ResponseTypes
	for i := range c.Clients {
		c.Clients[i].ResponseTypes = client.ResponseTypes
	}
}

// App returns the client "app" under another ID.
func App(id string) client.Client {
	c := Clients()[0]
	c.ID = id
	return c
}

// RedirectURI returns the first redirect URI of one of Clients, "" for others.
func RedirectURI(clientID string) string {
	for _, c := range Clients() {
		if c.ID == clientID {
			return c.RedirectURIs[0]
		}
	}
	return ""
}

// Apps returns the Truecaller apps of every World.
func Apps() map[string]truecaller.App {
	return map[string]truecaller.App{
		"one": {ID: "one", Name: "One", Key: "key-of-one"},
		"tap": {ID: "tap", Name: "Tap", Key: "key-of-tap", OneTap: &truecaller.Dialog{}},
	}
}

// WithoutPush takes the push from one of the provider's Truecaller apps.
func WithoutPush(app string) func(*Config) {
	return func(c *Config) {
		a := c.Provider.Apps.ByID[app]
		a.WithoutPush = true
		c.Provider.Apps.ByID[app] = a
	}
}

// ParseNumber parses a number in E.164.
func ParseNumber(t testing.TB, e164 string) phone.Number {
	t.Helper()
	n, err := phone.FromDigits(strings.TrimPrefix(e164, "+"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Profile returns a profile of the number's user that has every field.
func Profile(t testing.TB, number string) truecaller.Profile {
	t.Helper()
	n := ParseNumber(t, number)
	return truecaller.Profile{
		ID:        "tc-" + n.Digits(),
		UserID:    "17",
		Numbers:   []phone.Number{n},
		FirstName: "Asha",
		LastName:  "Rao",
		Email:     "asha@example.com",
		AvatarURL: "https://img.example/a.png",
		Gender:    "Female",
		JobTitle:  "Engineer",
		UpdatedAt: time.Unix(1_600_000_000, 0),
		Addresses: []truecaller.Address{{
			Street:      "Kungsgatan 1",
			City:        "Stockholm",
			Zipcode:     "111 43",
			CountryCode: "SE",
		}},
	}
}

// AnotherProfile returns the profile of another user who has the number now.
func AnotherProfile(t testing.TB, number string) truecaller.Profile {
	t.Helper()
	p := Profile(t, number)
	p.ID = "another user"
	return p
}
