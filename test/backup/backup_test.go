// SPDX-License-Identifier: Apache-2.0

// Package backup backs the built server's store up while it serves, destroys the store,
// restores it, and looks at what works afterwards. It also has the faults of disks and
// clocks that a server meets in years.
package backup

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"

	"golang.org/x/oauth2"
)

// approving returns a Truecaller whose users approve.
func approving(t *testing.T) func(callbackURL string) http.Handler {
	return func(callbackURL string) http.Handler {
		sim := simulator.New(simulator.Config{
			Apps:       []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL}},
			ApproveAll: true,
			HTTP:       &http.Client{Timeout: harness.Timeout},
		})
		t.Cleanup(sim.Close)
		return sim.Handler()
	}
}

// tokens are what the token endpoint gives.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
}

// user is somebody with a browser and an application.
type user struct {
	t       *testing.T
	server  *harness.Production
	browser *harness.Browser
	number  string
	tokens  tokens
}

func newUser(t *testing.T, server *harness.Production, n int) *user {
	return &user{t: t, server: server, browser: harness.NewBrowser(t, server.Issuer), number: harness.Number(n)}
}

// signIn signs in, or uses the session that the browser has, and redeems the code.
func (u *user) signIn() {
	u.t.Helper()
	verifier := oauth2.GenerateVerifier()
	page := u.browser.Get(u.server.AuthorizationURL("scope", "openid phone offline_access", "code_challenge", oauth2.S256ChallengeFromVerifier(verifier)))
	if page.Has("phone") {
		page = u.browser.Submit(page, u.number)
	}
	at, stopped := u.browser.Follow(page, harness.Timeout)
	if at == nil || at.Query().Get("code") == "" {
		u.t.Fatalf("the sign-in stopped at %s (status %d), %v", stopped.URL, stopped.Status, at)
	}
	u.tokens = u.ask("/token", url.Values{"grant_type": {"authorization_code"}, "code": {at.Query().Get("code")},
		"redirect_uri": {harness.RedirectURI}, "code_verifier": {verifier}})
	if u.tokens.Refresh == "" {
		u.t.Fatalf("no refresh token: %+v", u.tokens)
	}
}

// signedIn reports whether the browser has a session.
func (u *user) signedIn() bool {
	at, _ := u.browser.Follow(u.browser.Get(u.server.AuthorizationURL("prompt", "none")), harness.Timeout)
	return at != nil && at.Query().Get("code") != ""
}

func (u *user) refresh(token string) tokens {
	return u.ask("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (u *user) ask(path string, form url.Values) (answer tokens) {
	u.t.Helper()
	r, err := http.NewRequest(http.MethodPost, u.server.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		u.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("demo", harness.ClientSecret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		u.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		u.t.Fatalf("%s: %v", path, err)
	}
	return answer
}

// sub returns the user's own sub, as operators see it.
func (u *user) sub() string {
	u.t.Helper()
	var found struct {
		Sub string `json:"sub"`
	}
	out := good(u.t, u.server, "user", "find", u.number, "--output", "json")
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		u.t.Fatalf("%v\n%s", err, out)
	}
	return found.Sub
}

func good(t *testing.T, server *harness.Production, words ...string) string {
	t.Helper()
	out, err := server.Command(words...)
	if err != nil {
		t.Fatalf("calleridp %s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return out
}

func refused(t *testing.T, server *harness.Production, says string, words ...string) {
	t.Helper()
	out, err := server.Command(words...)
	if err == nil || !strings.Contains(out, says) || strings.Contains(out, "goroutine ") {
		t.Errorf("calleridp %s: %v\n%s\nwant a refusal with %q", strings.Join(words, " "), err, out, says)
	}
}

// backUp makes a backup of the running server and returns its file.
func backUp(t *testing.T, server *harness.Production) string {
	t.Helper()
	path, _, _ := strings.Cut(good(t, server, "backup"), "\n")
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

const lenient = `
limits: {after_approval: 1s}
`

// A backup that was made while the server served brings users, sessions, clients and
// tokens back. What was used or ended after it is met as the guide says: a used refresh
// token revokes, a rotated one is refused without an alarm, an access token is gone.
func TestBackupDestroyRestore(t *testing.T) {
	t.Parallel()
	server := harness.ServeWith(t, approving(t), lenient)
	kept, rotated, later := newUser(t, server, 5), newUser(t, server, 15), newUser(t, server, 25)
	kept.signIn()
	rotated.signIn()
	added := good(t, server, "client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example/cb")
	sub, used := kept.sub(), rotated.tokens.Refresh
	file := backUp(t, server)
	if out := good(t, server, "backup", "list"); !strings.Contains(out, file) {
		t.Errorf("backup list has no %s:\n%s", file, out)
	}
	if out := good(t, server, "backup", "verify"); !strings.Contains(out, file+" is whole") || !strings.Contains(out, server.Issuer) || !regexp.MustCompile(`2 +people`).MatchString(out) {
		t.Errorf("backup verify printed\n%s", out)
	}
	for range 2 {
		rotated.tokens = rotated.refresh(rotated.tokens.Refresh)
	}
	later.signIn()
	refused(t, server, "a server runs with this configuration", "restore", file)
	server.Stop(os.Kill)
	store := filepath.Join(server.Dir, "data", "calleridp.db")
	refused(t, server, "there is a store already", "restore", file)
	if err := os.Remove(store); err != nil {
		t.Fatal(err)
	}
	out := good(t, server, "restore", file)
	for _, says := range []string{"read back and compared", "invalid_grant", "user.deleted", "--sign-out-all", "keys.removed", "lines that were cut off after the backup are not missed"} {
		if !strings.Contains(out, says) {
			t.Errorf("restore does not say %q:\n%s", says, out)
		}
	}
	server.Start()
	server.Logged("the store was restored from a backup")
	if out := good(t, server, "audit", "verify"); !strings.Contains(out, "says that the store was restored from the backup of ") {
		t.Errorf("audit verify does not say that the store was restored:\n%s", out)
	}
	if got := kept.sub(); got != sub {
		t.Errorf("the sub is %s, want %s as before", got, sub)
	}
	if !kept.signedIn() || !rotated.signedIn() || later.signedIn() {
		t.Errorf("signed in are %v and %v, want both; and one who came later %v, want not", kept.signedIn(), rotated.signedIn(), later.signedIn())
	}
	if got := kept.ask("/introspect", url.Values{"token": {kept.tokens.Access}}); got.Error != "" {
		t.Errorf("introspection of an access token: %+v", got)
	}
	if got := kept.refresh(kept.tokens.Refresh); got.Access == "" {
		t.Errorf("a refresh token that was not used since: %+v, want tokens", got)
	}
	if got := rotated.refresh(rotated.tokens.Refresh); got.Error != "invalid_grant" {
		t.Errorf("a refresh token that the store does not know yet: %+v, want invalid_grant", got)
	}
	if got := rotated.refresh(used); got.Error != "invalid_grant" {
		t.Errorf("a used refresh token, after the newer one was seen: %+v, want invalid_grant", got)
	}
	if log := server.Log(); strings.Contains(log, `"grant.reused"`) {
		t.Error("the audit has a theft that was none")
	}
	if out := good(t, server, "client", "show", "shop"); !strings.Contains(out, "Shop") || added == "" {
		t.Errorf("the client is %s", out)
	}

	// After a theft, nobody stays signed in.
	server.Stop(os.Interrupt)
	if err := os.Rename(store, store+".old"); err != nil {
		t.Fatal(err)
	}
	good(t, server, "restore", file, "--sign-out-all")
	server.Start()
	if kept.signedIn() || kept.refresh(kept.tokens.Refresh).Error != "invalid_grant" {
		t.Error("after --sign-out-all: still signed in")
	}
	kept.signIn()
	if got := kept.sub(); got != sub {
		t.Errorf("after --sign-out-all the sub is %s, want %s", got, sub)
	}
}

// A restore that is killed leaves no store that a server would use, and the next one is
// whole. What is not a backup of this deployment is refused, and then nothing is there.
func TestRestoreIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	server := harness.ServeWith(t, approving(t), lenient)
	for i := range 3 {
		newUser(t, server, 5+10*i).signIn()
	}
	file := backUp(t, server)
	server.Stop(os.Interrupt)
	store := filepath.Join(server.Dir, "data", "calleridp.db")
	config := filepath.Join(server.Dir, "calleridp.yaml")
	gone := func() {
		t.Helper()
		for _, path := range []string{store, store + ".created", store + ".copy", store + ".restore"} {
			if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	gone()
	write := func(name string, content []byte) string {
		path := filepath.Join(server.Dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	changed := append([]byte{}, raw...)
	changed[len(changed)/2] ^= 1
	refused(t, server, "damaged", "restore", write("changed", changed))
	refused(t, server, "damaged", "restore", write("cut", raw[:len(raw)-100]))
	refused(t, server, "damaged", "backup", "verify", write("cut", raw[:len(raw)-100]))
	refused(t, server, "not a backup", "restore", write("text", []byte("a text")))
	if out, err := harness.Run(t, "serve", "--config", config); err == nil || !strings.Contains(out, "has not been finished") {
		t.Errorf("a server after a restore that failed: %v\n%s\nwant that it does not begin an empty store", err, out)
	}
	gone()
	other := strings.Replace(string(text), "issuer: "+server.Issuer, "issuer: http://localhost:1", 1)
	otherConfig := write("other.yaml", []byte(other))
	if out, err := harness.Run(t, "restore", file, "--config", otherConfig); err == nil || !strings.Contains(out, "it was made for "+server.Issuer) {
		t.Errorf("another issuer: %v\n%s", err, out)
	}
	if _, err := os.Stat(store + ".copy"); err == nil {
		t.Error("a refused backup has left an unfinished store")
	}
	if out, err := harness.Run(t, "restore", file, "--change-issuer", "--config", otherConfig); err != nil {
		t.Errorf("another issuer, as told: %v\n%s", err, out)
	}
	refused(t, server, "belongs to another issuer", "serve")
	key := filepath.Join(server.Dir, "other.key")
	if out, err := harness.Run(t, "keys", "init-master", "--out", key); err != nil {
		t.Fatal(out)
	}
	wrong := write("wrong.yaml", []byte(strings.Replace(string(text), filepath.Join(server.Dir, "master.key"), key, 1)))
	gone()
	if out, err := harness.Run(t, "restore", file, "--config", wrong); err == nil || !strings.Contains(out, "another master key") {
		t.Errorf("another master key: %v\n%s", err, out)
	}

	// How long a restore takes here, and then killed at parts of that.
	begun := time.Now()
	good(t, server, "restore", file)
	took := time.Since(begun)
	whole := 0
	for i := range 12 {
		gone()
		cmd := exec.Command(harness.Binary(t), "restore", file, "--config", config)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(took * time.Duration(i) / 10)
		cmd.Process.Kill()
		cmd.Wait()
		_, err := os.Stat(store)
		if finished := err == nil; finished {
			whole++
		} else {
			if _, err := os.Stat(store + ".copy"); err == nil {
				if out, err := harness.Run(t, "serve", "--config", config); err == nil || !strings.Contains(out, "has not been finished") {
					t.Fatalf("a server after a restore that was killed: %v\n%s", err, out)
				}
			}
			good(t, server, "restore", file)
		}
		server.Start()
		u := newUser(t, server, 5)
		if u.sub() == "" {
			t.Errorf("killed after %d tenths: a user is missing", i)
		}
		server.Stop(os.Interrupt)
	}
	t.Logf("a restore took %v; killed 12 times, %d were finished before", took, whole)
}

// A server with backup.every makes backups by itself, keeps as many as it is told, and
// counts them.
func TestScheduledBackups(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "elsewhere")
	metrics := "127.0.0.1:" + harness.FreePort(t)
	server := harness.Serve(t, "http://127.0.0.1:1", fmt.Sprintf("backup: {dir: %s, every: 1h, keep: 2}\nmetrics_listen: %s\n", dir, metrics))
	server.Logged("the store was backed up")
	made := func() int {
		all, _ := filepath.Glob(filepath.Join(dir, "calleridp-*.backup"))
		return len(all)
	}
	for range 3 {
		backUp(t, server)
	}
	if got := made(); got != 2 {
		t.Errorf("%d backups are kept, want 2", got)
	}
	good(t, server, "backup", "verify")
	response, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(text), "calleridp_backups_total 4\n") {
		t.Errorf("the metrics have no four backups (%v)", err)
	}
	if log := server.Log(); !strings.Contains(log, `"backup.made"`) {
		t.Error("the audit has no backup that the operator wanted")
	}
}

// Clients and users move to another deployment: with their secrets and subs, once, and
// never onto somebody else.
func TestExportAndImport(t *testing.T) {
	t.Parallel()
	from, to := harness.ServeWith(t, approving(t), lenient), harness.ServeWith(t, approving(t), lenient)
	u := newUser(t, from, 5)
	u.signIn()
	newUser(t, from, 15).signIn()
	sub := u.sub()
	printed := good(t, from, "client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example/cb")
	secret := regexp.MustCompile(`client_secret:? +([A-Za-z0-9_-]{40,})`).FindStringSubmatch(printed)
	if secret == nil {
		t.Fatalf("client add printed no secret:\n%s", printed)
	}
	backUp(t, from)
	file := func(what string) string { return filepath.Join(from.Dir, what+".json") }
	for _, what := range []string{"clients", "users"} {
		good(t, from, "export", what, "--out", file(what))
		info, err := os.Stat(file(what))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", what, info, err)
		}
		raw, err := os.ReadFile(file(what))
		if err != nil || strings.Contains(string(raw), secret[1]) {
			t.Errorf("%s: %v, or it has a secret in the clear", what, err)
		}
	}
	if out := good(t, to, "import", file("users"), "--dry-run"); !strings.Contains(out, "2 would be added, 0 are here already") {
		t.Errorf("a dry run printed %s", out)
	}
	refused(t, to, "no user has signed in with the number", "user", "find", u.number)
	for i, want := range []string{"2 added, 0 were here", "0 added, 2 were here"} {
		if out := good(t, to, "import", file("users")); !strings.Contains(out, want) {
			t.Errorf("import %d of the users printed %s, want %s", i, out, want)
		}
	}
	for i, want := range []string{"1 added, 0 were here", "0 added, 1 were here"} {
		if out := good(t, to, "import", file("clients")); !strings.Contains(out, want) {
			t.Errorf("import %d of the clients printed %s, want %s", i, out, want)
		}
	}
	there := newUser(t, to, 5)
	there.signIn()
	if got := there.sub(); got != sub {
		t.Errorf("the sub is %s there, want %s", got, sub)
	}
	r, err := http.NewRequest(http.MethodPost, to.Issuer+"/introspect", strings.NewReader("token=x"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("shop", secret[1])
	if response, err := http.DefaultClient.Do(r); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the client's secret does not work there: %v, %v", response, err)
	}

	// Somebody else has the number there, and another client the ID.
	third := harness.ServeWith(t, approving(t), lenient)
	other := newUser(t, third, 5)
	other.signIn()
	good(t, third, "client", "add", "--id", "shop", "--name", "Another shop", "--redirect-uri", "https://other.example/cb")
	refused(t, third, "the number belongs to "+other.sub()+" here", "import", file("users"))
	refused(t, third, "no user has signed in with the number", "user", "find", harness.Number(15))
	refused(t, third, "another client with this client_id is here", "import", file("clients"))
	good(t, third, "user", "delete", other.sub())
	good(t, third, "import", file("users"))
	good(t, third, "user", "delete", sub)
	refused(t, third, "the user was deleted here", "import", file("users"))
	refused(t, to, "not an export", "import", filepath.Join(from.Dir, "calleridp.yaml"))
	if log := to.Log(); !strings.Contains(log, `"user.imported"`) || !strings.Contains(log, `"client.imported"`) || strings.Contains(log, u.number[1:]) {
		t.Error("the audit lacks an import, or the log has a number")
	}
}
