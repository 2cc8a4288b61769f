// SPDX-License-Identifier: Apache-2.0

package client

import "testing"

func TestBackchannelLogout(t *testing.T) {
	base := Client{ID: "app", Name: "App", RedirectURIs: []string{"https://app.example/cb"}, SecretHashes: []SecretHash{HashSecret("secret")}}
	public, registered := base, base
	public.Public, public.SecretHashes = true, nil
	registered.Registration = &Registration{}
	unsigned := base
	unsigned.IDTokenAlg = AlgNone
	for _, row := range []struct {
		name   string
		client Client
		uri    string
		sid    bool
		field  string // that is refused, "" for none
	}{
		{"none", base, "", false, ""},
		{"https", base, "https://app.example/logout?x=1", true, ""},
		{"http on loopback", base, "http://localhost:3000/logout", false, ""},
		{"http elsewhere", base, "http://app.example/logout", false, "backchannel_logout_uri"},
		{"a fragment", base, "https://app.example/#x", false, "backchannel_logout_uri"},
		{"relative", base, "/logout", false, "backchannel_logout_uri"},
		{"http of a public client", public, "http://127.0.0.1/logout", false, "backchannel_logout_uri"},
		{"https of a public client", public, "https://app.example/logout", false, ""},
		{"http of a stranger", registered, "http://127.0.0.1/logout", false, "backchannel_logout_uri"},
		{"unsigned ID tokens", unsigned, "https://app.example/logout", false, "backchannel_logout_uri"},
		{"a session without address", base, "", true, "backchannel_logout_session_required"},
	} {
		c := row.client
		c.BackChannel = BackChannel{LogoutURI: row.uri, SessionRequired: row.sid}
		got := ""
		for _, e := range Validate(c) {
			got = e.Field
		}
		if got != row.field {
			t.Errorf("%s: refused %q, want %q", row.name, got, row.field)
		}
	}
}

func TestTold(t *testing.T) {
	told := Told([]Client{{ID: "with", BackChannel: BackChannel{LogoutURI: "https://app.example/"}}, {ID: "without"}})
	for id, want := range map[string]bool{"with": true, "without": false, "stored": true} {
		if told(id) != want {
			t.Errorf("%s: got %t, want %t", id, !want, want)
		}
	}
}
