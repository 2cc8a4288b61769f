// SPDX-License-Identifier: Apache-2.0

// Package upgrade starts the built server on the stores that released ones have left: a file of
// the embedded engine and a dump of PostgreSQL, in testdata, one folder for each release. The
// folder next is that of the release to come.
package upgrade

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"
	"calleridp/truecaller/simulator"

	"golang.org/x/oauth2"
)

var writeFixtures = flag.Bool("write-fixtures", false, "write testdata/next with the program of this tree")

const (
	// issuer is that of all fixtures, at whose port nothing listens: dial leads to the server.
	issuer = "http://127.0.0.1:1"
	next   = "next"
	stays  = "\nlimits: {number: 1000/1h, network: 1000/1h}\nkeys: {algorithms: [RS256]}\n"
)

// facts are what a store of a fixture has.
type facts struct {
	Program string `json:"program"` // that wrote it
	Secret  string `json:"secret"`  // of the client shop, which an operator added
	Number  string `json:"number"`  // of the user who signed in
	Sub     string `json:"sub"`     // the user's own
}

// server is a production server, whose issuer is that of the fixtures.
type server struct {
	*harness.Production
	t      *testing.T
	client *http.Client
}

// serve starts a server on an empty store.
func serve(t *testing.T, more string) *server {
	t.Helper()
	var handler atomic.Pointer[http.Handler]
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(vendor.Close)
	s := &server{Production: harness.ServeBehind(t, issuer, vendor.URL, stays+more), t: t}
	sim := simulator.New(simulator.Config{
		Apps: []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: strings.Replace(s.CallbackURL(), issuer, s.Address(), 1)}},
		HTTP: &http.Client{Timeout: harness.Timeout}, ApproveAll: true,
	})
	t.Cleanup(sim.Close)
	made := sim.Handler()
	handler.Store(&made)
	s.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(s.Address(), "http://"))
	}}}
	return s
}

// signIn signs a user in at the client shop.
func (s *server) signIn(secret, number string) {
	s.t.Helper()
	browser := harness.NewBrowser(s.t, issuer)
	browser.Client.Transport = s.client.Transport
	verifier := oauth2.GenerateVerifier()
	page := browser.Get(s.AuthorizationURL("client_id", "shop", "redirect_uri", "https://shop.example/callback", "scope", "openid phone",
		"code_challenge", oauth2.S256ChallengeFromVerifier(verifier)))
	at, stopped := browser.Follow(browser.Submit(page, number), harness.Timeout)
	if at == nil || at.Query().Get("code") == "" {
		s.t.Fatalf("the sign-in stopped at %s (status %d), %v", stopped.URL, stopped.Status, at)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {at.Query().Get("code")}, "redirect_uri": {"https://shop.example/callback"}, "code_verifier": {verifier}}
	r, err := http.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("shop", secret)
	response, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer["id_token"] == nil {
		s.t.Fatalf("no tokens: %v, %v", answer, err)
	}
}

// command runs a command of operators, and decodes what it prints.
func (s *server) command(v any, words ...string) {
	s.t.Helper()
	out, err := s.Command(append(words, "--output", "json")...)
	if err == nil {
		err = json.Unmarshal([]byte(out), v)
	}
	if err != nil {
		s.t.Fatalf("calleridp %s: %v\n%s", strings.Join(words, " "), err, out)
	}
}

func (s *server) sub(number string) string {
	s.t.Helper()
	var user struct {
		Sub string `json:"sub"`
	}
	s.command(&user, "user", "find", number)
	return user.Sub
}

// engine is a kind of store.
type engine struct {
	name string
	more func(t *testing.T) string                    // configures it
	load func(t *testing.T, s *server, stored []byte) // replaces the store of a stopped server
	save func(t *testing.T, s *server) (stored []byte)
}

var bolt = engine{
	name: "store.db",
	more: func(*testing.T) string { return "" },
	load: func(t *testing.T, s *server, stored []byte) {
		write(t, filepath.Join(s.Dir, "data", "calleridp.db"), stored)
	},
	save: func(t *testing.T, s *server) []byte { return read(t, filepath.Join(s.Dir, "data", "calleridp.db")) },
}

// database returns the engine PostgreSQL with a database of its own.
func database(t *testing.T) engine {
	t.Helper()
	d, err := pgtest.Start(pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	dsn := func() string {
		dsn, err := d.Database(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return dsn
	}
	file := filepath.Join(t.TempDir(), "dsn")
	return engine{
		name: "postgres.sql",
		more: func(t *testing.T) string {
			write(t, file, []byte(dsn()))
			return "storage: {engine: postgres, dsn_file: " + file + "}\n"
		},
		load: func(t *testing.T, s *server, stored []byte) {
			into := dsn()
			write(t, file, []byte(into))
			if err := d.Load(t.Context(), into, stored); err != nil {
				t.Fatal(err)
			}
		},
		save: func(t *testing.T, s *server) []byte {
			out, err := d.Dump(string(read(t, file)))
			if err != nil {
				t.Fatal(err)
			}
			return out
		},
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A server of this tree opens the store of each release and of the one to come, brings it up to
// date, and signs the same user in at the client that an operator had added. Nothing in it
// ends with time: sessions and tokens of a fixture have ended long ago.
func TestStoresOfReleases(t *testing.T) {
	for _, e := range []engine{bolt, database(t)} {
		if *writeFixtures {
			record(t, e)
		}
		folders, err := filepath.Glob(filepath.Join("testdata", "*", e.name+".gz"))
		if err != nil || len(folders) == 0 {
			t.Fatalf("there is no testdata/*/%s.gz: %v", e.name, err)
		}
		for _, file := range folders {
			dir := filepath.Dir(file)
			t.Run(filepath.Base(dir)+"/"+e.name, func(t *testing.T) { opens(t, e, dir) })
		}
	}
}

// opens checks that a server opens the store of an engine in a folder.
func opens(t *testing.T, e engine, dir string) {
	defer func() {
		if t.Failed() && filepath.Base(dir) == next {
			t.Log("if the records or the schema of no release have changed: go test ./test/upgrade -write-fixtures")
		}
	}()
	var had facts
	if err := json.Unmarshal(read(t, filepath.Join(dir, e.name+".json")), &had); err != nil {
		t.Fatal(err)
	}
	packed, err := gzip.NewReader(bytes.NewReader(read(t, filepath.Join(dir, e.name+".gz"))))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, e.more(t))
	s.Stop(os.Interrupt)
	write(t, filepath.Join(s.Dir, "master.key"), read(t, filepath.Join(dir, e.name+".key")))
	e.load(t, s, stored)
	s.Start()
	if got := s.sub(had.Number); got != had.Sub {
		t.Errorf("before: the user is %q, want %q of %s", got, had.Sub, had.Program)
	}
	// The sign-in of a fixture that was written just now still holds its lock.
	if out, err := s.Command("limit", "clear", had.Number); err != nil {
		t.Fatalf("limit clear: %v\n%s", err, out)
	}
	s.signIn(had.Secret, had.Number)
	if got := s.sub(had.Number); got != had.Sub {
		t.Errorf("after signing in: the user is %q, want %q of %s", got, had.Sub, had.Program)
	}
}

// record writes the fixture of an engine: what a server has stored when a user has signed in.
func record(t *testing.T, e engine) {
	s := serve(t, e.more(t))
	var added struct {
		Secret string `json:"client_secret"`
	}
	s.command(&added, "client", "add", "--name", "Shop", "--id", "shop", "--redirect-uri", "https://shop.example/callback")
	had := facts{Secret: added.Secret, Number: harness.Number(7)}
	s.signIn(had.Secret, had.Number)
	had.Sub = s.sub(had.Number)
	out, err := harness.Run(t, "version")
	if err != nil {
		t.Fatal(err)
	}
	had.Program = strings.TrimSpace(out)
	s.Stop(os.Interrupt)

	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(e.save(t, s)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	said, err := json.MarshalIndent(had, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("testdata", next)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		".gz": packed.Bytes(), ".json": append(said, 10), ".key": read(t, filepath.Join(s.Dir, "master.key")),
	} {
		if err := os.WriteFile(filepath.Join(dir, e.name+name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
