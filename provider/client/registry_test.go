// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/storage/bolt"
)

func declared() client.Client {
	return client.Client{ID: "declared", SecretHashes: []client.SecretHash{client.HashSecret("one")}, RedirectURIs: []string{"https://app.example/cb"}}
}

func newRegistry(t *testing.T) (*client.Registry, *bolt.Store) {
	t.Helper()
	master, err := keys.NewMaster(bytes.Repeat([]byte{7}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(filepath.Join(t.TempDir(), "store"), master, bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	r, err := client.NewRegistry([]client.Client{declared()}, store, client.Deployment{})
	if err != nil {
		t.Fatal(err)
	}
	return r, store
}

// Neither an empty secret nor that of a public client authenticates, whatever a stored
// record says.
func TestThreat_NoRecordMakesASecretOptional(t *testing.T) {
	r, store := newRegistry(t)
	for _, c := range []client.Client{
		{ID: "empty", SecretHashes: []client.SecretHash{client.HashSecret("")}},
		{ID: "none"},
		{ID: "public", Public: true, SecretHashes: []client.SecretHash{client.HashSecret("left over")}},
	} {
		if err := store.CreateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		id, secret string
		want       error
	}{
		{"empty", "", client.ErrUnauthenticated},
		{"none", "", client.ErrUnauthenticated},
		{"none", "x", client.ErrUnauthenticated},
		{"public", "left over", client.ErrUnauthenticated},
		{"public", "", nil},
	} {
		if c, err := r.Authenticate(t.Context(), row.id, row.secret); !errors.Is(err, row.want) {
			t.Errorf("%s with the secret %q: got %q, %v, want %v", row.id, row.secret, c.ID, err, row.want)
		}
	}
}

// counted counts how often all clients are read, and can fail.
type counted struct {
	client.Store
	reads  int
	failed error
}

func (c *counted) Clients(ctx context.Context) ([]client.Client, error) {
	c.reads++
	if err := errors.Join(c.failed, ctx.Err()); err != nil {
		return nil, err
	}
	return c.Store.Clients(ctx)
}

// Preflights from unknown origins do not make the server read all clients again and again,
// and one who hangs up spoils no reading for the others.
func TestThreat_UnknownOriginsCostLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store := newRegistry(t)
		all := &counted{Store: store}
		r, err := client.NewRegistry([]client.Client{declared()}, all, client.Deployment{})
		if err != nil {
			t.Fatal(err)
		}
		const known = "https://known.example"
		if _, _, err := r.Add(t.Context(), client.Client{ID: "known", RedirectURIs: []string{known + "/cb"}, AllowedOrigins: []string{known}}); err != nil {
			t.Fatal(err)
		}
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		for second := range 10 {
			for i := range 100 {
				if r.OriginAllowed(gone, fmt.Sprintf("https://%d.evil.example", i)) {
					t.Error("an unknown origin is allowed")
				}
				if !r.OriginAllowed(t.Context(), known) {
					t.Fatal("a known origin is not allowed")
				}
			}
			if most := second + 1; all.reads > most {
				t.Fatalf("within %d seconds: %d readings, want at most one a second", second, all.reads)
			}
			time.Sleep(time.Second + time.Millisecond)
		}
		all.failed = errors.New("the database is away")
		time.Sleep(time.Minute)
		before := all.reads
		for range 100 {
			if r.OriginAllowed(t.Context(), known) {
				t.Fatal("an origin of which nothing is known any more is allowed")
			}
		}
		if all.reads != before+1 {
			t.Errorf("while the store fails: %d readings at once, want 1", all.reads-before)
		}
		all.failed = nil
		time.Sleep(time.Second + time.Millisecond)
		if !r.OriginAllowed(t.Context(), known) {
			t.Error("after the failure: a known origin is not allowed")
		}
	})
}

// A client that another server has added or removed is known here at once; for
// preflights, an added one is within a second, and a removed one may stay for some.
func TestRegistryKnowsWhatAnotherServerAdds(t *testing.T) {
	synctest.Test(t, testRegistryKnowsWhatAnotherServerAdds)
}

func testRegistryKnowsWhatAnotherServerAdds(t *testing.T) {
	here, store := newRegistry(t)
	there, err := client.NewRegistry(nil, store, client.Deployment{})
	if err != nil {
		t.Fatal(err)
	}
	const origin = "https://new.example"
	if here.OriginAllowed(t.Context(), origin) {
		t.Error("before: the origin is allowed")
	}
	added, secret, err := there.Add(t.Context(), client.Client{Name: "New", RedirectURIs: []string{origin + "/cb"}, AllowedOrigins: []string{origin}})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if !here.OriginAllowed(t.Context(), origin) {
		t.Error("the origin is not allowed")
	}
	if _, err := here.Authenticate(t.Context(), added.ID, secret); err != nil {
		t.Error(err)
	}
	if err := there.Remove(t.Context(), added.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := here.Client(t.Context(), added.ID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a client that another server has removed: %v", err)
	}
}

// What is no client_id is not looked up; and an origin counts from the moment that its
// client is registered, though others were asked about before.
func TestRegistryKnowsAtOnce(t *testing.T) {
	r, store := newRegistry(t)
	for _, id := range []string{"", "a b", "a:b", "a\x00"} {
		if c, err := r.Client(t.Context(), id); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("%q: got %+v, %v, want %v", id, c, err, client.ErrNotFound)
		}
	}
	const origin = "https://late.example"
	if r.OriginAllowed(t.Context(), origin) {
		t.Error("before: the origin is allowed")
	}
	if _, _, err := r.Add(t.Context(), client.Client{ID: "late", RedirectURIs: []string{origin + "/cb"}, AllowedOrigins: []string{origin}}); err != nil {
		t.Fatal(err)
	}
	if !r.OriginAllowed(t.Context(), origin) {
		t.Error("after: the origin is not allowed")
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.CheckStored(t.Context()); err == nil {
		t.Error("a store that cannot be read: got no error, want one")
	}
	if _, err := r.Authenticate(t.Context(), "late", "x"); err == nil || errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("a store that cannot be read: got %v, want an error that is no verdict on the secret", err)
	}
}

func TestRegistry(t *testing.T) {
	r, store := newRegistry(t)
	ctx := t.Context()
	is := func(id, secret string) bool {
		t.Helper()
		c, err := r.Authenticate(ctx, id, secret)
		if err != nil && !errors.Is(err, client.ErrUnauthenticated) {
			t.Fatal(err)
		}
		if (err == nil) != (c.ID != "") {
			t.Errorf("%q, %v", c.ID, err)
		}
		return err == nil
	}
	added, secret, err := r.Add(ctx, client.Client{Name: "Added", RedirectURIs: []string{"https://added.example/cb"}, AllowedOrigins: []string{"https://added.example"}})
	if err != nil || len(added.ID) != 22 || len(secret) != 43 {
		t.Fatalf("%+v, %q, %v", added, secret, err)
	}
	public, none, err := r.Add(ctx, client.Client{ID: "public", Public: true, RedirectURIs: []string{"com.example.app:/cb"}})
	if err != nil || none != "" || len(public.SecretHashes) != 0 {
		t.Fatalf("%+v, %q, %v", public, none, err)
	}
	for what, ok := range map[string]bool{
		"declared": is("declared", "one"), "added": is(added.ID, secret), "public": is("public", ""),
		"wrong secret": !is("declared", "two"), "empty secret": !is("declared", ""), "another's secret": !is("declared", secret),
		"public with a secret": !is("public", "x"), "unknown": !is("nobody", "x"), "unknown, empty": !is("nobody", ""), "no id": !is("", ""),
	} {
		if !ok {
			t.Errorf("%s", what)
		}
	}

	second, err := r.RotateSecret(ctx, added.ID)
	if err != nil || !is(added.ID, secret) || !is(added.ID, second) {
		t.Errorf("after one rotation both are good: %v", err)
	}
	third, err := r.RotateSecret(ctx, added.ID)
	if err != nil || is(added.ID, secret) || !is(added.ID, second) || !is(added.ID, third) {
		t.Errorf("after two the first is not: %v", err)
	}

	if err := r.AddOwn(client.Client{ID: "own", Public: true, RedirectURIs: []string{"https://id.example.com/console/callback"}}); err != nil {
		t.Fatal(err)
	}
	for what, row := range map[string]struct {
		err  error
		want error
	}{
		"add a declared one":      {last(r.Add(ctx, declared())), client.ErrExists},
		"add a stored one":        {last(r.Add(ctx, public)), client.ErrExists},
		"rotate a declared one":   {one(r.RotateSecret(ctx, "declared")), client.ErrFromConfig},
		"rotate one of its own":   {one(r.RotateSecret(ctx, "own")), client.ErrOwn},
		"edit one of its own":     {last(r.Edit(ctx, "own", func(c client.Client) (client.Client, error) { return c, nil })), client.ErrOwn},
		"remove one of its own":   {r.Remove(ctx, "own"), client.ErrOwn},
		"rotate a public one":     {one(r.RotateSecret(ctx, "public")), client.ErrNoSecret},
		"rotate an unknown one":   {one(r.RotateSecret(ctx, "nobody")), client.ErrNotFound},
		"remove a declared one":   {r.Remove(ctx, "declared"), client.ErrFromConfig},
		"remove an unknown one":   {r.Remove(ctx, "nobody"), client.ErrNotFound},
		"look for an unknown one": {one(r.Client(ctx, "nobody")), client.ErrNotFound},
	} {
		if !errors.Is(row.err, row.want) {
			t.Errorf("%s: %v, want %v", what, row.err, row.want)
		}
	}
	if _, _, err := r.Add(ctx, client.Client{ID: "bad", RedirectURIs: []string{"javascript:x"}}); len(refused(err)) != 1 {
		t.Errorf("got %v, want one refused field", err)
	}

	list, err := r.List(ctx)
	ids := []string{}
	for _, c := range list {
		ids = append(ids, c.ID)
		if c.FromConfig != (c.ID == "declared") {
			t.Errorf("%s: FromConfig %v", c.ID, c.FromConfig)
		}
	}
	if err != nil || len(ids) != 3 || !slices.IsSorted(ids) {
		t.Errorf("%v, %v", ids, err)
	}

	if !r.OriginAllowed(ctx, "https://added.example") || r.OriginAllowed(ctx, "https://evil.example") || r.OriginAllowed(ctx, "") {
		t.Error("origins")
	}
	if err := r.Remove(ctx, added.ID); err != nil || is(added.ID, third) || r.OriginAllowed(ctx, "https://added.example") {
		t.Errorf("removed: %v", err)
	}
	// The config file wins over the store.
	shadow := declared()
	shadow.SecretHashes = []client.SecretHash{client.HashSecret("stored")}
	if err := store.CreateClient(ctx, shadow); err != nil {
		t.Fatal(err)
	}
	if is("declared", "stored") || !is("declared", "one") {
		t.Error("the stored client shadows the declared one")
	}
}

// What the configuration file may not say of Truecaller apps, `client add` may not
// either: such a client could sign nobody in.
func TestAddChecksTheTruecallerApp(t *testing.T) {
	_, store := newRegistry(t)
	r, err := client.NewRegistry(nil, store, client.Deployment{Apps: []client.App{{ID: "default"}, {ID: "android", Native: true}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		app    string
		native bool
		field  string // the one that is refused, "" for none
	}{
		{"", false, ""}, {"default", false, ""}, {"android", false, ""}, {"android", true, ""},
		{"nope", false, "truecaller_app"}, {"nope", true, "truecaller_app"}, {"", true, "native"}, {"default", true, "native"},
	} {
		_, _, err := r.Add(t.Context(), client.Client{RedirectURIs: []string{"https://app.example/cb"}, TruecallerApp: c.app, Native: c.native})
		switch invalid := refused(err); {
		case c.field == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.field != "" && (len(invalid) != 1 || invalid[0].Field != c.field):
			t.Errorf("%+v: got %v, want one error of %s", c, err, c.field)
		}
	}
}

// A client whose algorithm is turned off is refused, wherever it comes from: no key
// would sign its ID tokens.
func TestAlgorithmsThatAreOff(t *testing.T) {
	_, store := newRegistry(t)
	ctx := t.Context()
	all, err := client.NewRegistry(nil, store, client.Deployment{})
	if err != nil {
		t.Fatal(err)
	}
	es256 := client.Client{ID: "es256", RedirectURIs: []string{"https://app.example/cb"}, IDTokenAlg: "ES256"}
	if _, _, err := all.Add(ctx, es256); err != nil || all.CheckStored(ctx) != nil {
		t.Fatalf("all algorithms: got %v, %v, want none", err, all.CheckStored(ctx))
	}
	onlyRSA := client.Deployment{Algorithms: []string{"RS256"}}
	r, err := client.NewRegistry(nil, store, onlyRSA)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CheckStored(ctx); err == nil || !strings.Contains(err.Error(), `client "es256": id_token_signed_response_alg: "ES256" is turned off`) {
		t.Errorf("a stored client: got %v, want it refused", err)
	}
	es256.ID = "another"
	if _, _, err := r.Add(ctx, es256); len(refused(err)) != 1 || refused(err)[0].Field != "id_token_signed_response_alg" {
		t.Errorf("a new client: got %v, want it refused", err)
	}
	declares := declared()
	declares.IDTokenAlg = "EdDSA"
	if _, err := client.NewRegistry([]client.Client{declares}, store, onlyRSA); len(refused(err)) != 1 {
		t.Errorf("a declared client: got %v, want it refused", err)
	}
}

func TestNewRegistryReportsAllErrors(t *testing.T) {
	_, err := client.NewRegistry([]client.Client{declared(), declared(), {ID: "x"}}, nil, client.Deployment{})
	if len(refused(err)) == 0 || !strings.Contains(err.Error(), `client "x": `) || !strings.Contains(err.Error(), "declared twice") {
		t.Errorf("got %v, want the fields of client x and what is declared twice", err)
	}
}

// refused returns the fields that err refuses.
func refused(err error) client.FieldErrors {
	invalid, _ := errors.AsType[client.FieldErrors](err)
	return invalid
}

func one[T any](_ T, err error) error { return err }

func last[A, B any](_ A, _ B, err error) error { return err }
