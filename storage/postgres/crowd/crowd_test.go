// SPDX-License-Identifier: Apache-2.0

package crowd_test

import (
	"path/filepath"
	"testing"

	"calleridp/keys"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
	"calleridp/storage/postgres"
	"calleridp/storage/postgres/crowd"
	"calleridp/storage/postgres/pgtest"
	"calleridp/truecaller/phone"
)

// The engine finds every record of the people under the key by which it looks for it.
func TestTheEngineFindsThem(t *testing.T) {
	server, err := pgtest.Start(pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	ctx := t.Context()
	dsn, err := server.Database(ctx)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "master.key")
	if err := keys.CreateMaster(file); err != nil {
		t.Fatal(err)
	}
	const issuer, people = "https://id.example", 101
	c, err := crowd.New(file, issuer, "shop", people)
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]int{}
	if err := c.Fill(ctx, dsn, func(kind string, n int) { written[kind] = n }); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int{"people": 101, "numbers": 101, "consents": 51, "sessions": 21, "grants": 21, "access_tokens": 3} {
		if written[kind] != want {
			t.Errorf("got %d %s, want %d", written[kind], kind, want)
		}
	}

	master, err := keys.LoadMaster(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Open(ctx, master, postgres.Options{DSN: redact.Text(dsn)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.PinIssuer(ctx, issuer); err != nil {
		t.Error(err)
	}
	mac := func(parts ...[]byte) [32]byte { return master.MAC(keys.PurposeRefreshToken, parts...) }
	for i := range people {
		number, err := phone.FromDigits(c.Phone(i))
		if err != nil {
			t.Fatal(err)
		}
		person, err := s.PersonOf(ctx, number)
		if err != nil || person.Number != number {
			t.Fatalf("person %d: %v, %v", i, person, err)
		}
		account, err := s.Account(ctx, person.Sub)
		if err != nil {
			t.Fatal(err)
		}
		for what, n := range map[string][2]int{
			"sessions": {len(account.Sessions), crowd.SessionEvery},
			"grants":   {len(account.Grants), crowd.GrantEvery},
			"consents": {len(account.Consents), crowd.ConsentEvery},
		} {
			if got, want := n[0] == 1, i%n[1] == 0; got != want {
				t.Errorf("person %d has %d %s", i, n[0], what)
			}
		}
		for _, live := range account.Sessions {
			if _, err := s.Session(ctx, live.ID); err != nil {
				t.Errorf("session of person %d: %v", i, err)
			}
		}
		if i%crowd.ConsentEvery == 0 {
			if _, err := s.Consent(ctx, person.Sub, "shop"); err != nil {
				t.Errorf("consent of person %d: %v", i, err)
			}
		}
	}
	for i := range written["access_tokens"] {
		if _, _, err := s.AccessToken(ctx, grant.HashToken(redact.Text(c.AccessToken(i)))); err != nil {
			t.Errorf("access token %d: %v", i, err)
		}
	}
	for i := range written["grants"] {
		id, generation, ok := grant.ParseRefreshToken(mac, c.RefreshToken(i))
		g, err := s.Grant(ctx, id)
		if !ok || err != nil || g.Generation != generation {
			t.Errorf("refresh token %d: %v, %v", i, ok, err)
		}
	}
}
