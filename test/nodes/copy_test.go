// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"
	"calleridp/truecaller/simulator"

	"golang.org/x/oauth2"
)

// mover is a server whose store moves between its file and a database.
type mover struct {
	*harness.Production
	t        *testing.T
	database *pgtest.Server
	config   string // the file
	file     string // the store
	inFile   []byte // the configuration with the embedded engine
}

func newMover(t *testing.T) *mover {
	t.Helper()
	m := &mover{t: t}
	var err error
	if m.database, err = pgtest.Start(pgtest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.database.Stop)
	m.Production = harness.ServeWith(t, func(callbackURL string) http.Handler {
		sim := simulator.New(simulator.Config{Apps: []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL}}})
		t.Cleanup(sim.Close)
		return sim.Handler()
	}, "limits: {number: 1000/1h, network: 1000/1h}\nkeys: {algorithms: [RS256]}")
	m.config, m.file = filepath.Join(m.Dir, "calleridp.yaml"), filepath.Join(m.Dir, "data", "calleridp.db")
	m.inFile = must(os.ReadFile(m.config))
	return m
}

// use makes the configuration name an engine: "" is the embedded one, else it is the
// connection string of a database.
func (m *mover) use(dsn string) {
	m.t.Helper()
	text := m.inFile
	if dsn != "" {
		at := filepath.Join(m.Dir, "dsn")
		if err := os.WriteFile(at, []byte(dsn), 0o600); err != nil {
			m.t.Fatal(err)
		}
		text = fmt.Appendf(bytes.Clone(text), "\nstorage: {engine: postgres, dsn_file: %s}\n", at)
	}
	if err := os.WriteFile(m.config, text, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mover) dsn() string { return m.database.DSN("postgres") }

func (m *mover) copy(to string) (out string, err error) {
	return harness.Run(m.t, "store", "copy", "--to", to, "--config", m.config)
}

// copied copies, which must succeed.
func (m *mover) copied(to string) {
	m.t.Helper()
	if out, err := m.copy(to); err != nil || !strings.Contains(out, "records were copied, read back and compared") {
		m.t.Fatalf("copying to %s: %v\n%s", to, err, out)
	}
}

// refused runs a command that must fail with a text.
func (m *mover) refused(what, says string, args ...string) {
	m.t.Helper()
	out, err := harness.Run(m.t, append(args, "--config", m.config)...)
	if err == nil || !strings.Contains(out, says) || strings.Contains(out, "goroutine ") {
		m.t.Errorf("%s: %v\n%s\nwant %q", what, err, out, says)
	}
}

func (m *mover) client(id, secret string, scopes ...string) *oauth2.Config {
	return &oauth2.Config{ClientID: id, ClientSecret: secret, RedirectURL: harness.RedirectURI,
		Scopes:   append([]string{"openid", "phone"}, scopes...),
		Endpoint: oauth2.Endpoint{AuthURL: m.Issuer + "/authorize", TokenURL: m.Issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader}}
}

// code goes through the authorization endpoint, and returns what redeems the code.
func (m *mover) code(browser *harness.Browser, config *oauth2.Config, number string) (redeem func() (*oauth2.Token, error), prompted bool) {
	m.t.Helper()
	verifier := oauth2.GenerateVerifier()
	page := browser.Get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	if page.Has("phone") && number != "" {
		page = browser.Submit(page, number)
	}
	left, page := browser.Follow(page, harness.Timeout)
	if prompted = left == nil && page.Has("consent"); prompted {
		left, page = browser.Follow(browser.Post(m.Issuer+"/consent", url.Values{"request": {page.Sealed()}, "decision": {"allow"}}), 0)
	}
	if left == nil || left.Query().Get("code") == "" {
		m.t.Fatalf("left to %v or stopped at %s (%d)\n%s", left, page.URL, page.Status, page.Body)
	}
	return func() (*oauth2.Token, error) {
		return config.Exchange(m.t.Context(), left.Query().Get("code"), oauth2.VerifierOption(verifier))
	}, prompted
}

// TestEverythingIssuedWorksAfterTheStoreHasMoved moves a store to PostgreSQL and back.
func TestEverythingIssuedWorksAfterTheStoreHasMoved(t *testing.T) {
	m := newMover(t)
	browser, number := harness.NewBrowser(t, m.Issuer), harness.Number(5)
	var added struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	out, err := harness.Run(t, "client", "add", "--output", "json", "--socket", m.Socket, "--name", "Shop", "--redirect-uri", harness.RedirectURI, "--consent", "remember")
	if err != nil || json.Unmarshal([]byte(out), &added) != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	demo, shop := m.client("demo", harness.ClientSecret, "offline_access"), m.client(added.ClientID, added.ClientSecret)

	redeem, _ := m.code(browser, demo, number)
	tokens := must(redeem())
	sub := claim(t, tokens, "sub")
	used := redeem
	ofShop, prompted := m.code(browser, shop, "")
	if !prompted {
		t.Fatal("the client of the operator prompts for no consent")
	}
	must(ofShop())
	stale := tokens.RefreshToken
	tokens = must(demo.TokenSource(t.Context(), &oauth2.Token{RefreshToken: stale}).Token())
	// A second browser has its code taken away by using it twice; this one keeps its own.
	unused, _ := m.code(browser, demo, "")
	keys := get(t, m.Issuer+"/jwks")

	for round, to := range []string{"postgres", "bolt"} {
		if to == "postgres" {
			m.use(m.dsn())
			m.refused("copying from a store in use", "another calleridp process has the store open", "store", "copy", "--to", "postgres")
		} else {
			m.refused("copying from a database in use", "servers use the database", "store", "copy", "--to", "bolt")
		}
		m.Stop(os.Interrupt)
		if to == "bolt" {
			m.refused("copying over a store", "there is a store already; move it away", "store", "copy", "--to", "bolt")
			if err := os.Rename(m.file, m.file+".old"); err != nil {
				t.Fatal(err)
			}
		}
		m.copied(to)
		if to == "postgres" {
			m.refused("copying over a database", "already contains a store", "store", "copy", "--to", "postgres")
		} else {
			m.use("")
		}
		m.Start()

		if got := get(t, m.Issuer+"/jwks"); got != keys {
			t.Errorf("%s: it publishes other keys", to)
		}
		if status, claims := userinfo(t, m.Issuer, tokens); status != 200 || claims["sub"] != sub || claims["phone_number"] != number {
			t.Errorf("%s: userinfo with the access token: %d %v", to, status, claims)
		}
		fresh, err := unused()
		if err != nil || claim(t, fresh, "sub") != sub {
			t.Fatalf("%s: the code that was not redeemed: %v", to, err)
		}
		if _, err := unused(); err == nil {
			t.Errorf("%s: a code was redeemed twice", to)
		}
		next, err := demo.TokenSource(t.Context(), &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
		if err != nil {
			t.Fatalf("%s: the refresh token: %v", to, err)
		}
		tokens = next
		if _, err := used(); err == nil {
			t.Errorf("%s: a code that was used before works", to)
		}
		// RFC 6749 §4.1.2: its second use has revoked what was issued on it.
		if status, _ := userinfo(t, m.Issuer, tokens); status != 401 {
			t.Errorf("%s: userinfo after the second use of the code: %d, want 401", to, status)
		}
		again, prompted := m.code(browser, shop, "") // with the session and the consent, and no push
		if got := must(again()); prompted || claim(t, got, "sub") != sub {
			t.Errorf("%s: a sign-in with the session prompted: %v, or is of %s, want %s", to, prompted, claim(t, got, "sub"), sub)
		}
		if round == 0 { // the next round's
			redeem, _ := m.code(browser, demo, "")
			tokens, used = must(redeem()), redeem
			unused, _ = m.code(browser, demo, "")
		}
	}
	other := harness.NewBrowser(t, m.Issuer)
	if _, err := harness.Run(t, "limit", "clear", "--socket", m.Socket, number); err != nil {
		t.Fatal(err)
	}
	redeem, _ = m.code(other, demo, number)
	if got := claim(t, must(redeem()), "sub"); got != sub {
		t.Errorf("the number has the sub %s after the moves, want %s", got, sub)
	}
}

// gate is a way to a database that stops where the client sends a text.
type gate struct {
	to, at  string
	stopped chan struct{}
	once    sync.Once

	deaf bool // the database gets the text, and its answer is held back
	lost bool // the database does not notice that the client has gone
}

// newGate returns the connection string through a gate. Each change is made before it opens.
func newGate(t *testing.T, database *pgtest.Server, at string, change ...func(*gate)) (dsn string, g *gate) {
	t.Helper()
	dir := t.TempDir()
	g = &gate{to: filepath.Join(database.Socket(), ".s.PGSQL.5432"), at: at, stopped: make(chan struct{})}
	for _, change := range change {
		change(g)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go g.pass(client)
		}
	}()
	return strings.Replace(database.DSN("postgres"), "host="+database.Socket(), "host="+dir, 1), g
}

func (g *gate) pass(client net.Conn) {
	server, err := net.Dial("unix", g.to)
	if err != nil {
		client.Close()
		return
	}
	var sent atomic.Bool // the text, to the database
	go g.answer(client, server, &sent)
	found := g.request(client, server, &sent)
	if !found || !g.lost {
		server.Close()
	}
}

// request passes on what the client sends, and reports whether the text was in it.
func (g *gate) request(client, server net.Conn, sent *atomic.Bool) (found bool) {
	buffer, seen := make([]byte, 1<<16), []byte{}
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return false
		}
		seen = append(seen, buffer[:n]...)
		found = found || bytes.Contains(seen, []byte(g.at))
		if found && !g.deaf {
			g.once.Do(func() { close(g.stopped) })
			io.Copy(io.Discard, client) // until it has gone
			return true
		}
		sent.Store(found)
		seen = seen[max(0, len(seen)-len(g.at)):]
		if _, err := server.Write(buffer[:n]); err != nil {
			return found
		}
	}
}

// answer passes on what the database answers.
func (g *gate) answer(client, server net.Conn, sent *atomic.Bool) {
	defer client.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		if sent.Load() {
			g.once.Do(func() { close(g.stopped) })
			continue
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// TestACopyThatIsKilled kills a copy in the middle: no server starts on what it leaves,
// and the next copy makes it whole.
func TestACopyThatIsKilled(t *testing.T) {
	m := newMover(t)
	browser, number := harness.NewBrowser(t, m.Issuer), harness.Number(5)
	demo := m.client("demo", harness.ClientSecret)
	redeem, _ := m.code(browser, demo, number)
	tokens := must(redeem())
	m.Stop(os.Interrupt)

	for _, row := range []struct {
		to, at, unfinished string
		signals            []os.Signal
	}{
		{"postgres", `copy "sessions"`, "a copy into the database has not been finished", []os.Signal{os.Kill, os.Interrupt}},
		{"bolt", "FROM sessions WHERE", "a copy or a restore into it has not been finished", []os.Signal{os.Kill}},
	} {
		for _, signal := range row.signals {
			through, gate := newGate(t, m.database, row.at)
			m.use(through)
			var out bytes.Buffer
			cmd := exec.Command(harness.Binary(t), "store", "copy", "--to", row.to, "--config", m.config)
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-gate.stopped
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil || signal == os.Interrupt && !strings.Contains(out.String(), "interrupted; the copy is not finished") {
				t.Errorf("the copy to %s after %s: %v\n%s", row.to, signal, err, &out)
			}
			m.use(m.dsn())
			if row.to == "bolt" {
				m.use("")
			}
			var text string
			harness.Eventually(t, "the database forgets the transaction", func() bool {
				var err error
				if text, err = harness.Run(t, "serve", "--config", m.config); err == nil {
					t.Fatal("a server served")
				}
				return !strings.Contains(text, "a copy from or to the database is under way")
			})
			if !strings.Contains(text, row.unfinished) {
				t.Errorf("a server after a copy to %s and %s:\n%s\nwant %q", row.to, signal, text, row.unfinished)
			}
		}
		m.use(m.dsn())
		m.copied(row.to)
		if row.to == "bolt" {
			m.use("")
		} else if err := os.Rename(m.file, m.file+".old"); err != nil {
			t.Fatal(err)
		}
		m.Start()
		if status, _ := userinfo(t, m.Issuer, tokens); status != 200 {
			t.Errorf("userinfo after the copy to %s: %d", row.to, status)
		}
		m.Stop(os.Interrupt)
	}
}

// TestACopyNoticesASuspendedServer stops a server in the middle of everything, for longer
// than it counts without saying so: it would go on with the old store after a copy.
func TestACopyNoticesASuspendedServer(t *testing.T) {
	m := newMover(t)
	m.Stop(os.Interrupt)
	if err := os.Remove(m.file); err != nil {
		t.Fatal(err)
	}
	m.use(m.dsn())
	m.Start()
	m.Logged("listening to the changes of other servers")
	m.Signal(syscall.SIGSTOP)
	harness.Eventually(t, "what it said last was long ago", func() bool { // one statement may be under way
		if _, err := m.database.Query(t.Context(), "UPDATE servers SET until = now()"); err != nil {
			t.Fatal(err)
		}
		out, err := m.copy("bolt")
		return err != nil && strings.Contains(out, "end those that the following connections are of")
	})
	m.Signal(syscall.SIGCONT)
	m.Stop(os.Interrupt)
	m.copied("bolt")
}
