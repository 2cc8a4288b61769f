// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"

	"golang.org/x/oauth2"
)

// TestAServerIsKilledThatRotates kills the server that rotates, at each place where the
// database has it: another one rotates, all sign, and no token is signed with a key that
// the JWKS of any server lacks.
func TestAServerIsKilledThatRotates(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	load := newRotationLoad(c)
	const locks, writes = "INSERT INTO signing_keys", "UPDATE signing_keys"
	const unprepared = ", pooler: transaction" // a text and what is done with it come at once
	deaf, lost := func(g *gate) { g.deaf = true }, func(g *gate) { g.lost = true }
	for i, row := range []struct {
		name, at, storage string
		gate              func(*gate)
	}{
		{"before anything is locked", locks, unprepared, func(*gate) {}},
		{"with the keys locked", locks, unprepared, deaf},
		{"before anything is written", writes, unprepared, func(*gate) {}},
		{"with everything stored", writes, unprepared, deaf},
		{"with the keys locked, and the database does not notice", writes, "", lost},
	} {
		killed, other := i%len(c.Nodes), (i+1)%len(c.Nodes)
		node := c.Nodes[killed]
		config := filepath.Join(node.Dir, "calleridp.yaml")
		usual := string(must(os.ReadFile(config)))
		through, gate := newGate(t, c.database, row.at, row.gate)
		file := filepath.Join(t.TempDir(), "dsn")
		if err := os.WriteFile(file, []byte(through), 0o600); err != nil {
			t.Fatal(err)
		}
		use := func(text string) {
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before, _, _ := strings.Cut(usual, "storage: ")
		use(fmt.Sprintf("%sstorage: {engine: postgres, dsn_file: %s%s}\n", before, file, row.storage))
		load.ends.Store(int64(killed))
		c.StopNode(killed, os.Interrupt)
		c.StartNode(killed)
		load.signs(row.name)

		rotated := make(chan error)
		go func() {
			_, err := harness.Run(t, "keys", "rotate", "--force", "--socket", node.Socket)
			rotated <- err
		}()
		select {
		case <-gate.stopped:
		case err := <-rotated:
			t.Fatalf("%s: the rotation has ended: %v", row.name, err)
		case <-time.After(harness.Timeout):
			t.Fatalf("%s: it is never there", row.name)
		}
		c.StopNode(killed, os.Kill)
		if err := <-rotated; err == nil {
			t.Errorf("%s: the operator is told that the keys were rotated", row.name)
		}
		load.signs(row.name)
		begun, kid := time.Now(), kidOf(t, must(load.tokens(load.browsers[0])))
		c.operate(other, "keys", "rotate", "--force")
		t.Logf("%s: another server has rotated within %s", row.name, time.Since(begun).Round(time.Millisecond))
		harness.Eventually(t, "the new key signs", func() bool {
			tokens, err := load.tokens(load.browsers[0])
			return err == nil && kidOf(t, tokens) != kid
		})
		use(usual)
		c.StartNode(killed)
		load.ends.Store(-1)
		load.signs(row.name)
		set := get(t, c.Nodes[other].Address()+"/jwks")
		for _, node := range c.Nodes {
			harness.Eventually(t, "each server publishes the same keys", func() bool { return get(t, node.Address()+"/jwks") == set })
		}
	}
	load.stop()
	t.Logf("%d tokens, signed with %d keys", load.n.Load(), len(load.kids))
	if want := 6; len(load.kids) < want { // one for each rotation, and the first
		t.Errorf("the keys %v have signed, want %d at least", load.kids, want)
	}
}

// rotationLoad signs users in all the time, and looks for the key of each token at each
// server.
type rotationLoad struct {
	*cluster
	browsers []*harness.Browser // each with a session; the first is for the test
	ends     atomic.Int64       // the server that may not respond, -1: none
	n        atomic.Int64       // tokens
	stop     func()

	mu   sync.Mutex
	kids map[string]bool
}

func newRotationLoad(c *cluster) *rotationLoad {
	load := &rotationLoad{cluster: c, kids: map[string]bool{}}
	load.ends.Store(-1)
	for _, approves := range []int{5, 10, 12, 13} {
		browser := harness.NewBrowser(c.t, c.Issuer)
		c.signIn(browser, harness.Number(approves))
		load.browsers = append(load.browsers, browser)
	}
	ended := make(chan struct{})
	var running sync.WaitGroup
	for _, browser := range load.browsers[1:] {
		running.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					load.look(browser)
				}
			}
		})
	}
	load.stop = sync.OnceFunc(func() { close(ended); running.Wait() })
	c.t.Cleanup(load.stop)
	return load
}

// tokens signs in with a session. It fails where a server was killed meanwhile.
func (l *rotationLoad) tokens(browser *harness.Browser) (*oauth2.Token, error) {
	verifier := oauth2.GenerateVerifier()
	config := l.config()
	left, page := browser.Follow(browser.Get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier))), 0)
	if left == nil {
		return nil, fmt.Errorf("stopped at %s (%d)", page.URL, page.Status)
	}
	return config.Exchange(l.t.Context(), left.Query().Get("code"), oauth2.VerifierOption(verifier))
}

// look gets a token, and looks for its key.
func (l *rotationLoad) look(browser *harness.Browser) {
	tokens, err := l.tokens(browser)
	if err != nil {
		if l.ends.Load() < 0 {
			l.t.Errorf("with all servers up: %v", err)
		}
		return
	}
	kid := kidOf(l.t, tokens)
	l.mu.Lock()
	l.kids[kid] = true
	l.mu.Unlock()
	for i, node := range l.Nodes {
		response, err := http.Get(node.Address() + "/jwks")
		if err == nil {
			raw, _ := io.ReadAll(response.Body)
			response.Body.Close()
			set := string(raw)
			if response.StatusCode == http.StatusOK && strings.Contains(set, `"`+kid+`"`) {
				continue
			}
			err = fmt.Errorf("%d %s", response.StatusCode, set)
		}
		if response != nil && response.StatusCode == http.StatusOK || l.ends.Load() != int64(i) {
			l.t.Errorf("the key %s has signed, and server %d says: %v", kid, i, err)
		}
	}
	l.n.Add(1)
}

// signs waits until some more tokens were signed.
func (l *rotationLoad) signs(when string) {
	l.t.Helper()
	from := l.n.Load()
	harness.Eventually(l.t, when+": tokens are signed", func() bool { return l.n.Load() >= from+10 })
}
