// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"

	"golang.org/x/oauth2"
)

// later builds the program of a later version, which has these migrations more. The
// oldest program that works with its schema is that of the version oldest. It reads the next
// version of a session's record; writes says whether it also writes that.
func later(t *testing.T, oldest int, writes bool, migrations ...string) string {
	t.Helper()
	const path = "storage/postgres/migrate.go"
	text := harness.Source(t, path)
	// A program that counts its migrations has none of these.
	for name, value := range map[string]int{"newest": schema(t) + len(migrations), "oldestProgram": oldest} {
		text = regexp.MustCompile(`(?m)^const `+name+` = \d+$`).ReplaceAllString(text, fmt.Sprintf("const %s = %d", name, value))
	}
	files := map[string]string{path: text}
	const kinds = "storage/record/sessions.go"
	declared := regexp.MustCompile(`(Sessions = Kind\{.*)version: (\d+),`)
	sealed := harness.Source(t, kinds)
	found := declared.FindStringSubmatch(sealed)
	if found == nil {
		t.Fatalf("%s declares no version of sessions", kinds)
	}
	version, err := strconv.Atoi(found[2])
	if err != nil {
		t.Fatal(err)
	}
	sessions := fmt.Sprintf("version: %d, reads: %d,", version, version+1)
	if writes {
		sessions = fmt.Sprintf("version: %d,", version+1)
	}
	files[kinds] = declared.ReplaceAllString(sealed, "${1}"+sessions)
	for i, sql := range migrations {
		files[fmt.Sprintf("storage/postgres/migrations/%05d_later.sql", schema(t)+1+i)] = "-- +goose Up\n" + sql + "\n"
	}
	return harness.BuildWith(t, files)
}

// schema returns the newest version of the schema in this tree.
func schema(t *testing.T) int {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "storage/postgres/migrations/*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no migrations: %v", err)
	}
	return len(files)
}

// Later versions, as an upgrade may bring them. The second adds, and the program of
// before goes on working. The third takes away what only that program needed, and writes
// records that the second reads.
const (
	expand = `ALTER TABLE attempts ADD COLUMN later text;
ALTER TABLE codes ALTER COLUMN sid SET DEFAULT '';
CREATE TABLE later (key bytea PRIMARY KEY);`
	contract = `ALTER TABLE attempts DROP COLUMN later;
UPDATE meta SET value = '%d' WHERE key = 'oldest_program';`
)

// TestUpgradeUnderLoad replaces servers one after the other by those of the next
// version, while people sign in: nobody notices.
func TestUpgradeUnderLoad(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	next := later(t, schema(t), false, expand)
	load := c.startLoad(t, 5, 10, 11, 21)
	load.goesOn()
	for i := range c.Nodes {
		c.replace(i, next)
		load.goesOn()
	}
	for i, node := range c.Nodes {
		if strings.Contains(node.Log(), harness.CutOff) {
			t.Errorf("server %d cut requests off when it stopped", i)
		}
	}

	// A server of the version before may come back, also for a while.
	c.replace(1, "")
	load.goesOn()
	if out, err := c.Nodes[1].Command("migrate"); err != nil {
		t.Errorf("migrate of the version before: %v\n%s", err, out)
	}
	c.replace(1, next)

	// After a migration that takes away it may not. Those that run go on.
	last := later(t, schema(t)+1, true, expand, fmt.Sprintf(contract, schema(t)+1))
	c.Nodes[0].Use(last)
	if out, err := c.Nodes[0].Command("migrate"); err != nil || !strings.Contains(out, "up to date") {
		t.Errorf("migrating by hand: %v\n%s", err, out)
	}
	load.goesOn()
	c.replace(0, last)
	load.goesOn()
	load.stop()
	c.RetireNode(2)
	c.Nodes[2].Use("")
	for _, command := range [][]string{{"serve"}, {"migrate"}, {"config", "check"}} {
		out, err := c.Nodes[2].Command(command...)
		if err == nil || !strings.Contains(out, "newer version of calleridp") || !strings.Contains(out, "start that version") {
			t.Errorf("calleridp %s of two versions before: %v, want a refusal that says what to do\n%s", strings.Join(command, " "), err, out)
		}
	}
	c.Nodes[2].Use(next)
	c.StartNode(2)
	c.signIn(harness.NewBrowser(t, c.Issuer), harness.Number(13))
}

// replace stops a server as an operator does, and starts it with another binary.
func (c *cluster) replace(i int, binary string) {
	c.t.Helper()
	c.RetireNode(i)
	c.Nodes[i].Use(binary)
	c.StartNode(i)
}

// load is people who sign in, one after the other.
type load struct {
	t       *testing.T
	people  []*person
	stopped atomic.Bool
	ended   sync.WaitGroup
}

type person struct {
	signIns atomic.Int64
	failure atomic.Pointer[error]
}

// startLoad lets the people of these numbers sign in until it is stopped.
func (c *cluster) startLoad(t *testing.T, numbers ...int) *load {
	l := &load{t: t}
	t.Cleanup(l.stop)
	for _, xx := range numbers {
		p := &person{}
		l.people = append(l.people, p)
		l.ended.Go(func() {
			failing := &failing{TB: t}
			browser := harness.NewBrowser(failing, c.Issuer)
			for !l.stopped.Load() {
				if err := failing.caught(func() error { return c.wholeSignIn(browser, harness.Number(xx)) }); err != nil {
					p.failure.Store(&err)
					return
				}
				p.signIns.Add(1)
			}
		})
	}
	return l
}

// goesOn waits until everybody has signed in again, from the beginning.
func (l *load) goesOn() {
	l.t.Helper()
	for _, p := range l.people {
		before := p.signIns.Load()
		harness.Eventually(l.t, "everybody signs in", func() bool {
			if err := p.failure.Load(); err != nil {
				l.t.Fatalf("after %d sign-ins: %v", p.signIns.Load(), *err)
			}
			return p.signIns.Load() > before+1
		})
	}
}

func (l *load) stop() {
	l.stopped.Store(true)
	l.ended.Wait()
}

// wholeSignIn signs a number in with a push, redeems the code, uses the tokens, and
// signs in once more with the session.
func (c *cluster) wholeSignIn(browser *harness.Browser, number string) error {
	verifier := oauth2.GenerateVerifier()
	config := c.config("offline_access")
	page := browser.Get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("prompt", "login")))
	left, page := browser.Follow(browser.Submit(page, number), harness.Timeout)
	if left == nil || left.Query().Get("code") == "" {
		return fmt.Errorf("the sign-in left to %v or stopped at %s (%d)\n%.2000s", left, page.URL, page.Status, page.Body)
	}
	tokens, err := config.Exchange(c.t.Context(), left.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return err
	}
	r, err := http.NewRequest("GET", c.Issuer+"/userinfo", nil)
	if err != nil {
		return err
	}
	tokens.SetAuthHeader(r)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("userinfo: %s", response.Status)
	}
	if _, err := config.TokenSource(c.t.Context(), &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token(); err != nil {
		return err
	}
	again := browser.Get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	if left, page := browser.Follow(again, 0); left == nil || left.Query().Get("code") == "" {
		return fmt.Errorf("with its session, the sign-in left to %v or stopped at %s (%d)", left, page.URL, page.Status)
	}
	return nil
}

// failing makes an error of what would fail a test, in a goroutine that must not.
type failing struct{ testing.TB }

type failure struct{ error }

func (f *failing) Fatal(args ...any) { panic(failure{errors.New(fmt.Sprint(args...))}) }

func (f *failing) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

func (f *failing) caught(do func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.error
		default:
			panic(r)
		}
	}()
	return do()
}
