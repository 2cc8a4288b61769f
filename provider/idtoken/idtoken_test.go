// SPDX-License-Identifier: Apache-2.0

package idtoken_test

import (
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/clientkeys"
	"calleridp/provider/grant"
	"calleridp/provider/idtoken"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/subject"
)

// issuer returns an Issuer with the keys of every World.
func issuer(name string) *idtoken.Issuer {
	return idtoken.New(idtoken.Config{
		Issuer:   name,
		Keys:     testworld.Ring(),
		Clients:  clientkeys.New(nil, slog.New(slog.DiscardHandler)),
		Master:   testworld.Master(),
		Lifetime: time.Hour,
		Audit:    audit.Discard,
	})
}

// signIn returns a sign-in to the client at a time.
func signIn(c client.Client, now time.Time) idtoken.SignIn {
	return idtoken.SignIn{
		Client: c,
		Person: subject.Person{Sub: "own-sub"},
		Grant: grant.Grant{
			Sub:      "own-sub",
			SID:      "the-sid",
			AuthTime: now.Add(-time.Minute),
			ACR:      "the-acr",
			AMR:      []string{"a", "b"},
		},
		Scopes:      []string{"openid"},
		AccessToken: "the-access-token",
		Nonce:       "the-nonce",
		Now:         now,
	}
}

// token signs an ID token.
func token(t *testing.T, i *idtoken.Issuer, s idtoken.SignIn) string {
	t.Helper()
	compact, err := i.Token(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func TestToken(t *testing.T) {
	// Half of SHA-256 and of SHA-512 of the access token.
	const half256, half512 = "uby9Z8Gb_H_x4fPjwNzguw", "B7p8o12G5vm-9CEZGSanwzMw-leqyauPjU1ebdjBHYw"
	now := time.Unix(1_800_000_000, 0)
	for _, row := range []struct {
		what   string
		client client.Client
		change func(*idtoken.SignIn)
		want   map[string]any // changes of the usual claims, nil for none
	}{
		{"RS256", client.Client{ID: "app"}, nil, nil},
		{"ES256", client.Client{ID: "app", IDTokenAlg: "ES256"}, nil, nil},
		{"EdDSA", client.Client{ID: "app", IDTokenAlg: "EdDSA"}, nil, map[string]any{"at_hash": half512}},
		{
			"without nonce and session",
			client.Client{ID: "app"},
			func(s *idtoken.SignIn) { s.Nonce, s.Grant.SID = "", "" },
			map[string]any{"nonce": nil, "sid": nil},
		},
	} {
		t.Run(row.what, func(t *testing.T) {
			s := signIn(row.client, now)
			if row.change != nil {
				row.change(&s)
			}
			want := map[string]any{
				"iss":       "https://id.example",
				"sub":       "own-sub",
				"aud":       "app",
				"azp":       "app",
				"exp":       1_800_003_600.0,
				"iat":       1_800_000_000.0,
				"auth_time": 1_799_999_940.0,
				"nonce":     "the-nonce",
				"acr":       "the-acr",
				"amr":       []any{"a", "b"},
				"at_hash":   half256,
				"sid":       "the-sid",
			}
			for name, value := range row.want {
				want[name] = value
				if value == nil {
					delete(want, name)
				}
			}
			got := testworld.Claims(t, token(t, issuer("https://id.example"), s))
			if !reflect.DeepEqual(got, want) {
				t.Errorf("claims: got\n%v\nwant\n%v", got, want)
			}
			for name := range got {
				if !slices.Contains(idtoken.ClaimNames, name) {
					t.Errorf("ClaimNames: got %v, want %s among them", idtoken.ClaimNames, name)
				}
			}
		})
	}
}

func TestReadHint(t *testing.T) {
	ours := issuer("https://id.example")
	app := client.Client{ID: "app"}
	now := time.Unix(1_700_000_000, 0)
	signed := func(payload string) string {
		compact, err := testworld.Ring().Sign("RS256", "JWT", []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return compact
	}
	good := token(t, ours, signIn(app, now))
	dot := strings.LastIndexByte(good, '.')
	want := idtoken.Hint{
		Issuer:   "https://id.example",
		Subject:  "own-sub",
		Audience: "app",
		SID:      "the-sid",
		AuthTime: now.Unix() - 60,
	}
	noSession, fresh := want, want
	noSession.SID = ""
	today := time.Now()
	fresh.AuthTime = today.Add(-time.Minute).Unix()
	for _, row := range []struct {
		what, hint string
		want       idtoken.Hint // zero for none
	}{
		{"an expired token", good, want},
		{"a token of today", token(t, ours, signIn(app, today)), fresh},
		{"a token without a session", signed(`{"iss":"https://id.example","sub":"own-sub","aud":"app","auth_time":1699999940}`), noSession},
		{"nothing", "", idtoken.Hint{}},
		{"no JWT", "nonsense", idtoken.Hint{}},
		{"another signature", good[:dot+1] + "AAAA" + good[dot+5:], idtoken.Hint{}},
		{"no signature", good[:dot+1], idtoken.Hint{}},
		{"another issuer", token(t, issuer("https://other.example"), signIn(app, now)), idtoken.Hint{}},
		{"no issuer", signed(`{"sub":"own-sub","aud":"app","auth_time":1699999940}`), idtoken.Hint{}},
		{"no sub", signed(`{"iss":"https://id.example","aud":"app","auth_time":1699999940}`), idtoken.Hint{}},
		{"no aud", signed(`{"iss":"https://id.example","sub":"own-sub","auth_time":1699999940}`), idtoken.Hint{}},
		{"several aud", signed(`{"iss":"https://id.example","sub":"own-sub","aud":["app"],"auth_time":1699999940}`), idtoken.Hint{}},
		{"no auth_time", signed(`{"iss":"https://id.example","sub":"own-sub","aud":"app"}`), idtoken.Hint{}},
		{"no JSON", signed(`nonsense`), idtoken.Hint{}},
	} {
		t.Run(row.what, func(t *testing.T) {
			got, err := ours.ReadHint(row.hint)
			if row.want == (idtoken.Hint{}) {
				if !errors.Is(err, idtoken.ErrHint) || got != row.want {
					t.Errorf("got %+v, %v, want %v", got, err, idtoken.ErrHint)
				}
				return
			}
			if err != nil || got != row.want {
				t.Errorf("got %+v, %v, want %+v", got, err, row.want)
			}
		})
	}
}

// A pairwise sub is the same for the clients of a sector, another one for each
// sector and each user, and never the user's own (OpenID Connect Core §8.1).
func TestSubject(t *testing.T) {
	i := issuer("https://id.example")
	pairwise := func(host string) client.Client { return client.Client{ID: "any", Pairwise: true, SectorHost: host} }
	if got := i.Subject(client.Client{ID: "app"}, "own-sub"); got != "own-sub" {
		t.Errorf("a public sub: got %q, want own-sub", got)
	}
	one := i.Subject(pairwise("one.example"), "own-sub")
	sameSector := pairwise("one.example")
	sameSector.ID = "another"
	if got := i.Subject(sameSector, "own-sub"); got != one {
		t.Errorf("another client of the sector: got %q, want %q", got, one)
	}
	for what, got := range map[string]string{
		"another sector": i.Subject(pairwise("two.example"), "own-sub"),
		"another user":   i.Subject(pairwise("one.example"), "another-sub"),
		"a public one":   "own-sub",
	} {
		if got == one {
			t.Errorf("%s: got %q, want another sub", what, got)
		}
	}
}

// A pairwise sid is like a pairwise sub, and leads back to its session.
func TestSID(t *testing.T) {
	i := issuer("https://id.example")
	pairwise := func(host string) client.Client { return client.Client{ID: "any", Pairwise: true, SectorHost: host} }
	session := keys.RandomText(16)
	if got := i.SID(client.Client{ID: "app"}, session); got != session || i.SessionID(client.Client{ID: "app"}, got) != session {
		t.Errorf("a public sid: got %q, want %q", got, session)
	}
	one := i.SID(pairwise("one.example"), session)
	if len(one) != len(session) || one == session {
		t.Errorf("a pairwise sid: got %q, want one that looks like %q and is another", one, session)
	}
	sameSector := pairwise("one.example")
	sameSector.ID = "another"
	if got := i.SID(sameSector, session); got != one {
		t.Errorf("another client of the sector: got %q, want %q", got, one)
	}
	for what, got := range map[string]string{
		"another sector":  i.SID(pairwise("two.example"), session),
		"another session": i.SID(pairwise("one.example"), keys.RandomText(16)),
	} {
		if got == one {
			t.Errorf("%s: got %q, want another sid", what, got)
		}
	}
	if got := i.SessionID(pairwise("one.example"), one); got != session {
		t.Errorf("back: got %q, want %q", got, session)
	}
	if got := i.SessionID(pairwise("two.example"), one); got == session || got == one {
		t.Errorf("back by another sector: got %q, want the ID of no session", got)
	}
	for _, bad := range []string{"", "short", one + "AAAA", one[:21] + "_", "!" + one[1:]} {
		if got := i.SessionID(pairwise("one.example"), bad); got != "" || i.SID(pairwise("one.example"), bad) != "" {
			t.Errorf("%q: got %q, want none", bad, got)
		}
	}
}
