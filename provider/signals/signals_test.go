// SPDX-License-Identifier: Apache-2.0

package signals

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/provider/subject"
)

func mac(parts ...[]byte) [32]byte {
	return sha256.Sum256(append([]byte("key"), slices.Concat(parts...)...))
}

// A token is what was made here, for ten minutes, and nothing else.
func TestReadToken(t *testing.T) {
	now := time.Now()
	want := Access{ClientID: "shop", Scopes: []string{ScopeRead}, Issued: now}
	token := NewToken(mac, want)
	got, ok := ReadToken(mac, token, now.Add(TokenLife-time.Second))
	if !ok || got.ClientID != "shop" || !slices.Equal(got.Scopes, want.Scopes) || !got.Issued.Equal(now) || !IsToken(token) {
		t.Fatalf("got %+v, %v", got, ok)
	}
	for _, at := range []time.Duration{TokenLife, -TokenLife} {
		if _, ok := ReadToken(mac, token, now.Add(at)); ok {
			t.Errorf("after %s: accepted", at)
		}
	}
	for i := range []byte(token) {
		changed := []byte(token)
		if changed[i]++; changed[i] > 'z' {
			changed[i] = 'A'
		}
		if _, ok := ReadToken(mac, redact.Text(changed), now); ok {
			t.Errorf("with another byte %d: accepted", i)
		}
	}
	for _, text := range []redact.Text{"", "ssf_", token[4:], token + "A", token[:len(token)-1]} {
		if _, ok := ReadToken(mac, text, now); ok {
			t.Errorf("%d bytes of something else: accepted", len(text))
		}
	}
}

// A client knows a user's number if it got it by a scope or by name, and not if it got only
// something else.
func TestKnowers(t *testing.T) {
	at := time.Now()
	g := func(id string, scopes, named []string, revoked bool) grant.Grant {
		return grant.Grant{ClientID: id, Sub: "sub", Scopes: scopes, UserinfoClaims: named, Created: at, Revoked: revoked}
	}
	got := Knowers(
		[]subject.Known{{ClientID: "long-ago", At: at}, {ClientID: "long-ago", Phone: true, At: at}},
		[]session.Session{{Participants: []session.Participant{{ClientID: "in-session", At: at}}}},
		[]grant.Grant{g("scope", []string{"openid", "phone"}, nil, false), g("name", []string{"openid"}, []string{"phone_number"}, false),
			g("less", []string{"openid", "email"}, []string{"email"}, false), g("revoked", []string{"phone"}, nil, true)},
		[]consent.Consent{{ClientID: "consent", Scopes: []string{"phone"}, LastUsed: at}})
	want := map[string]bool{"long-ago": true, "in-session": false, "scope": true, "name": true, "less": false, "consent": true}
	if len(got) != len(want) {
		t.Errorf("got %+v, want %v", got, want)
	}
	for _, k := range got {
		if phone, known := want[k.ClientID]; !known || k.Phone.IsZero() == phone || !k.At.Equal(at) {
			t.Errorf("got %+v, want that it has the number: %v", k, phone)
		}
	}
	if all := Lost(at, "sub", got); len(all) != 8 {
		t.Errorf("%d events of a lost number, want two for each of four clients", len(all))
	}
	if all := Learnt(grant.Grant{ClientID: "machine"}); all != nil {
		t.Errorf("a grant without a user: got %+v", all)
	}
}

// A disabled stream takes nothing of users, and every stream what is about itself.
func TestTakes(t *testing.T) {
	s := Stream{Requested: []string{AccountPurged.URI(), "urn:unknown"}, Status: Enabled}
	if !s.Takes(AccountPurged) || s.Takes(SessionRevoked) || !s.Takes(Verification) || !slices.Equal(s.Delivered(), []Event{AccountPurged}) {
		t.Errorf("enabled: %+v", s.Delivered())
	}
	if s.Status = Paused; !s.Takes(AccountPurged) {
		t.Error("a paused stream holds nothing")
	}
	if s.Status = Disabled; s.Takes(AccountPurged) || !s.Takes(StreamUpdated) {
		t.Error("a disabled stream")
	}
}

// The registry knows a lane by the same prefix.
func TestLanesAreTold(t *testing.T) {
	told := client.Told([]client.Client{{ID: "receiver", Signals: true}, {ID: "other"}})
	for receiver, want := range map[string]bool{Lane("receiver"): true, Lane("other"): false, Lane("stored"): true, "receiver": false} {
		if told(receiver) != want {
			t.Errorf("%s: got %v, want %v", receiver, !want, want)
		}
	}
}
