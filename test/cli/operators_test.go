// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

// shell is what a line begins with in a block that sets up or manages the server.
var shell = regexp.MustCompile(`^(calleridp|curl|go build|install|openssl|pg_dump|useradd) `)

// lineRule says how one line of the operators' guide is run here. A line without a rule is run as it
// is, and must succeed.
type lineRule struct {
	line string // as in the document; of a here-document its first line

	instead string // is run in its place; why says the reason
	skip    bool   // nothing is run; why says the reason
	why     string

	before func(*rehearsal)                // is done first: what the text beside the line demands
	run    func(r *rehearsal, line string) // runs the line; nil: a shell does
	fails  string                          // the line must fail and print this

	// learn has what is filled in for a placeholder in the lines that follow, as the first
	// group of an expression that the output matches.
	learn map[string]string
}

// lineRules are in the order of the document, one for each line that cannot be run as it is, or
// from which others need something.
var lineRules = []lineRule{
	{line: "calleridp simulate --config calleridp.yaml", instead: "calleridp simulate --config calleridp.yaml --listen 127.0.0.1:9441",
		why: "the port that it has by itself may be taken", run: background("http://127.0.0.1:9441/")},
	{line: "calleridp serve --config calleridp.yaml", run: background("http://127.0.0.1:8443/readyz")},
	{line: "go build -trimpath -o /usr/local/bin/calleridp ./cmd/calleridp", skip: true, why: "the harness has built it"},
	{line: "useradd --system calleridp", skip: true, why: "needs root, and changes the machine"},
	{line: "install -d -m 700 -o calleridp /etc/calleridp /var/lib/calleridp",
		instead: "install -d -m 700 /etc/calleridp /var/lib/calleridp", why: "there is no user calleridp"},
	{line: "cat > /etc/calleridp/truecaller.appkey # paste the appKey, then Ctrl-D",
		instead: "echo " + harness.AppKey + " > /etc/calleridp/truecaller.appkey", why: "nobody pastes"},
	{line: "calleridp config check --config /etc/calleridp/calleridp.yaml", before: (*rehearsal).configure},
	{line: "calleridp serve --config /etc/calleridp/calleridp.yaml", run: background("ISSUER/readyz")},
	{line: "install -m 644 deploy/systemd/calleridp.yaml /etc/calleridp/", skip: true, why: "would replace the configuration that the server runs with"},
	{line: "install -m 644 deploy/systemd/calleridp.service deploy/systemd/calleridp.socket /etc/systemd/system/",
		skip: true, why: "changes the machine; test/deploy checks the units"},
	{line: "systemctl enable --now calleridp.socket calleridp.service", skip: true, why: "changes the machine"},
	{line: `calleridp client add --name "My shop" --redirect-uri https://shop.example/callback`,
		learn: map[string]string{"ID": `client_id +(\S+)`}},
	{line: "calleridp notice list", before: (*rehearsal).notice},
	{line: `calleridp registration-token add --note "a partner" --uses 3 --expires-in 72h`,
		learn: map[string]string{"ID": `\n(\S+) +a partner`}},
	{line: "calleridp limit show --client ID", before: func(r *rehearsal) { r.values["ID"] = "wiki" }},
	{line: "calleridp user find NUMBER", before: (*rehearsal).user, learn: map[string]string{"SUB": `sub +(\S+)`}},
	{line: "calleridp keys rotate", instead: "calleridp keys rotate --force", why: "the next keys have to be published for a day before",
		learn: map[string]string{"KEY": `(\S+) +RS256 +retired`}},
	{line: "calleridp api-key add --name deploy --scope clients:read --scope clients:write --expires-in 720h",
		learn: map[string]string{"KEY": `key: (\S+)`}},
	{line: "calleridp api-key list", learn: map[string]string{"ID": `\n(\S+) +deploy`}},
	{line: `curl --cacert admin.crt -H "Authorization: Bearer $KEY" https://localhost:9443/v1/clients`,
		before: func(r *rehearsal) { r.must("cp /etc/calleridp/admin.crt .") }},
	{line: `curl -H "If-Match: $ETAG" -H "Content-Type: application/merge-patch+json" -X PATCH -d '{"redirect_uris": ["https://shop.example/callback2"], "policy_uri": null}' --unix-socket /var/lib/calleridp/admin.sock http://calleridp/v1/clients/shop`,
		before: (*rehearsal).etag},
	{line: "calleridp doctor --config /etc/calleridp/calleridp.yaml --client shop", before: func(r *rehearsal) {
		r.must("calleridp client remove shop")
		r.must("calleridp client add --id shop --name Shop --redirect-uri http://127.0.0.1:8000/callback")
	}},
	{line: "calleridp audit verify --dir ./audit --master-key-file master.key", before: func(r *rehearsal) {
		r.must("cp -r /var/lib/calleridp/audit /etc/calleridp/master.key .")
	}},
	{line: "calleridp audit verify --file captured.jsonl", before: func(r *rehearsal) {
		r.must("sh -c 'cat /var/lib/calleridp/audit/*.jsonl > captured.jsonl'")
	}},
	{line: `pg_dump --no-owner --file calleridp.sql "$CALLERIDP_STORAGE_DSN"`,
		skip: true, why: "the rehearsal has no database; TestBackupOfTheDatabaseIsVerified dumps one, loads the dump and verifies it"},
	{line: "calleridp backup verify --config /etc/calleridp/calleridp.yaml", before: func(r *rehearsal) { r.must("calleridp backup") }},
	{line: "calleridp backup verify FILE --config /etc/calleridp/calleridp.yaml", before: (*rehearsal).backup},
	{line: "calleridp restore /mnt/backups/calleridp/calleridp-20261130T061500.000Z.backup --config /etc/calleridp/calleridp.yaml",
		skip: true, why: "the server runs here; test/backup restores one that is gone"},
}

// guide matches the pages of the operators' guide, in the order of docs/README.md.
var guide = regexp.MustCompile(`\]\((operators/[a-z-]+\.md)\)`)

// Every command in the code blocks of the operators' guide is run, from top to bottom, in a
// root directory of its own, against the server that they set up.
func TestOperatorsGuideRuns(t *testing.T) {
	t.Parallel()
	r := newRehearsal(t)
	met := map[string]bool{}
	commands, pages := 0, 0
	for _, found := range guide.FindAllStringSubmatch(harness.Source(t, "docs/README.md"), -1) {
		page := "docs/" + found[1]
		pages++
		for _, block := range harness.Blocks(harness.Source(t, page)) {
			if !slices.ContainsFunc(block.Lines, shell.MatchString) {
				continue
			}
			for _, line := range block.Lines {
				line = strings.TrimSpace(line)
				if line == "" || strings.HasPrefix(line, "#") {
					continue
				}
				commands++
				first, _, _ := strings.Cut(line, "\n")
				var rule lineRule
				if i := slices.IndexFunc(lineRules, func(l lineRule) bool { return l.line == first }); i >= 0 {
					rule = lineRules[i]
				}
				met[first] = true
				r.do(fmt.Sprintf("%s, block at line %d", page, block.Line), line, rule)
			}
		}
	}
	for _, rule := range lineRules {
		if !met[rule.line] {
			t.Errorf("the guide has no line %q any more: take its rule away", rule.line)
		}
		if (rule.skip || rule.instead != "") && rule.why == "" {
			t.Errorf("%q: say why it is not run as it is", rule.line)
		}
	}
	if all, err := filepath.Glob("../../docs/operators/*.md"); err != nil || len(all) != pages {
		t.Errorf("docs/README.md lists %d pages of %q (%v)", pages, all, err)
	}
	if commands < 30 {
		t.Errorf("got %d commands, want more", commands)
	}
}

// rehearsal is the machine on which the guide is followed.
type rehearsal struct {
	*testing.T
	root   string            // in place of /
	dir    string            // where the shell is
	ports  map[string]string // in place of those of the document
	values map[string]string // of placeholders
}

func newRehearsal(t *testing.T) *rehearsal {
	root, err := os.MkdirTemp("", "ops") // not t.TempDir: the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	bin := filepath.Join(root, "usr/local/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(harness.Binary(t), filepath.Join(bin, "calleridp")); err != nil {
		t.Fatal(err)
	}
	// A response with a status from 400 on is a failure of curl, too.
	if err := os.WriteFile(filepath.Join(root, ".curlrc"), []byte("silent\nfail-with-body\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &rehearsal{T: t, root: root, dir: root, ports: map[string]string{}, values: map[string]string{
		"NUMBER": harness.Number(5),
		"FILE":   "/etc/calleridp/calleridp.yaml",
	}}
}

// do runs one line.
func (r *rehearsal) do(at, line string, rule lineRule) {
	r.Helper()
	if rule.skip {
		return
	}
	if rule.before != nil {
		rule.before(r)
	}
	if rule.instead != "" {
		line = rule.instead
	}
	if rule.run != nil {
		rule.run(r, line)
		return
	}
	out, err := r.shell(line)
	if failed := err != nil; failed != (rule.fails != "") || !strings.Contains(out, rule.fails) {
		r.Fatalf("%s: %s: %v\n%s", at, line, err, out)
	}
	for name, expression := range rule.learn {
		found := regexp.MustCompile(expression).FindStringSubmatch(out)
		if found == nil {
			r.Fatalf("%s: %s printed no %s:\n%s", at, line, name, out)
		}
		r.values[name] = found[1]
	}
}

var (
	placeholders = regexp.MustCompile(`\$?\b[A-Z_]{2,}\b`) // with $, the shell has it
	paths        = regexp.MustCompile(`/(?:etc|usr/local|var|srv|run)/[^\s"';]*`)
	addresses    = regexp.MustCompile(`\b(127\.0\.0\.1|localhost):\d{4}\b`)
)

// here returns a line with the values of its placeholders, and with paths and ports of this
// machine.
func (r *rehearsal) here(line string) string {
	line = placeholders.ReplaceAllStringFunc(line, func(name string) string {
		if value, ok := r.values[name]; ok {
			return value
		}
		return name
	})
	line = addresses.ReplaceAllStringFunc(line, func(address string) string {
		if r.ports[address] == "" {
			host, _, _ := strings.Cut(address, ":")
			r.ports[address] = host + ":" + harness.FreePort(r)
		}
		return r.ports[address]
	})
	return paths.ReplaceAllStringFunc(line, func(path string) string { return r.root + path })
}

// command returns a command of a shell. The next one begins in the directory where it ends.
func (r *rehearsal) command(ctx context.Context, line string) *exec.Cmd {
	line = r.here(line)
	if _, to, ok := strings.Cut(line, " > "); ok { // folders that packages make
		os.MkdirAll(filepath.Dir(strings.Fields(to)[0]), 0o700)
	}
	c := exec.CommandContext(ctx, "sh", "-c", "trap 'pwd > "+r.root+"/dir' EXIT\numask 077\n"+line)
	c.Dir = r.dir
	c.Env = append(os.Environ(), "PATH="+filepath.Join(r.root, "usr/local/bin")+":"+os.Getenv("PATH"), "CURL_HOME="+r.root)
	for name, value := range r.values {
		c.Env = append(c.Env, name+"="+value)
	}
	config := r.here("/etc/calleridp/calleridp.yaml") // which names the socket, as an operator may set it
	if _, err := os.Stat(config); err == nil && !strings.Contains(line, " --config ") {
		c.Env = append(c.Env, "CALLERIDP_CONFIG="+config)
	}
	return c
}

func (r *rehearsal) shell(line string) (out string, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), harness.Timeout)
	defer cancel()
	c := r.command(ctx, line)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the shell and what it runs end together
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	raw, err := c.CombinedOutput()
	if ctx.Err() != nil {
		err = errors.New("it does not end: give it a rule that runs it in the background")
	}
	if dir, err := os.ReadFile(filepath.Join(r.root, "dir")); err == nil {
		r.dir = strings.TrimSpace(string(dir))
	}
	return string(raw), err
}

// edits are what an operator changes in the example of a configuration, so that the server
// runs here.
var edits = []struct{ from, to string }{
	{"issuer: https://login.example.com", "issuer: ISSUER"},
	{`listen: ":8443"` + "\n", "listen: LISTEN\n"},
	{"tls:\n  cert_file: /etc/calleridp/tls.crt # read again when it changes\n  key_file: /etc/calleridp/tls.key\n", ""},
	{"  # api_url: https://api4.truecaller.com\n  # profile_urls:\n", "  api_url: TRUECALLER\n  profile_urls: [TRUECALLER]\n"},
	{"# default_region: IN\n", "default_region: SE\n"},
}

// configure copies the example of a configuration, and edits it, the first time.
func (r *rehearsal) configure() {
	if r.values["ISSUER"] != "" {
		return
	}
	text := harness.Source(r, "deploy/calleridp.example.yaml")
	for _, edit := range edits {
		if !strings.Contains(text, edit.from) {
			r.Fatalf("deploy/calleridp.example.yaml has no %q", edit.from)
		}
		text = strings.Replace(text, edit.from, edit.to, 1)
	}
	listen := "127.0.0.1:" + harness.FreePort(r)
	issuer := "http://" + listen
	r.values["ISSUER"] = issuer
	secret, err := os.ReadFile(r.here("/etc/calleridp/truecaller.callback"))
	if err != nil {
		r.Fatal(err)
	}
	phones := simulator.New(simulator.Config{
		Apps: []simulator.App{{
			Name: "Example", Key: harness.AppKey,
			CallbackURL: issuer + "/callback/default/" + strings.TrimSpace(string(secret)),
		}},
		Log: slog.New(slog.DiscardHandler),
	})
	r.Cleanup(phones.Close)
	truecaller := httptest.NewServer(phones.Handler())
	r.Cleanup(truecaller.Close)
	text += `
truecaller_apps:
  - {id: android, app_name: Example app, methods: [native], native_client_id: of-the-portal, oauth_url: TRUECALLER}
registration: {mode: token}
drain: {ready_delay: 0s}
debug_listen: ` + r.here("127.0.0.1:6060") + `
admin_listen: ` + strings.Replace(r.here("localhost:9443"), "localhost", "127.0.0.1", 1) + `
admin_tls: {cert_file: /etc/calleridp/admin.crt, key_file: /etc/calleridp/admin.key}
`
	if err := selfsigned.Write(r.here("/etc/calleridp/admin.crt"), r.here("/etc/calleridp/admin.key"), "localhost"); err != nil {
		r.Fatal(err)
	}
	text = strings.NewReplacer("ISSUER", issuer, "LISTEN", listen, "TRUECALLER", truecaller.URL).Replace(text)
	if err := os.WriteFile(r.here("/etc/calleridp/calleridp.yaml"), []byte(paths.ReplaceAllStringFunc(text, r.here)), 0o600); err != nil {
		r.Fatal(err)
	}
}

// background returns what runs a line until the test ends. It waits until the URL responds
// with 200.
func background(at string) func(r *rehearsal, line string) {
	return func(r *rehearsal, line string) { r.start(line, r.here(at)) }
}

func (r *rehearsal) start(line, at string) {
	server := r.command(context.Background(), "exec "+line) // ended by the cleanup
	var log strings.Builder
	server.Stderr = &log
	if err := server.Start(); err != nil {
		r.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { server.Wait(); close(exited) }()
	r.Cleanup(func() {
		server.Process.Signal(os.Interrupt)
		<-exited
		if r.Failed() {
			r.Logf("the server's log:\n%s", log.String())
		}
	})
	harness.Eventually(r, line+" responds", func() bool {
		response, err := http.Get(at)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// etag adds the client that the guide edits by curl, and has ETAG stand for its entity tag.
func (r *rehearsal) etag() {
	r.must("calleridp client add --id shop --name Shop --redirect-uri https://shop.example/callback --policy-uri https://shop.example/privacy")
	out, err := r.shell("curl -D - -o /dev/null --unix-socket /var/lib/calleridp/admin.sock http://calleridp/v1/clients/shop")
	found := regexp.MustCompile(`(?i)etag: (\S+)`).FindStringSubmatch(out)
	if err != nil || found == nil {
		r.Fatalf("no entity tag: %v\n%s", err, out)
	}
	r.values["ETAG"] = found[1]
}

// notice has a notice wait for an application: it cannot be reached when a session ends that
// it took part in.
func (r *rehearsal) notice() {
	r.values["CLIENT_ID"] = "told"
	r.must("calleridp client add --id told --name Told --public --redirect-uri https://told.example/cb --backchannel-logout-uri https://127.0.0.1:1/logout")
	r.signIn("/authorize?" + url.Values{
		"client_id": {"told"}, "redirect_uri": {"https://told.example/cb"}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge": {strings.Repeat("A", 43)}, "code_challenge_method": {"S256"},
	}.Encode())
	r.must("calleridp user signout $(calleridp user find NUMBER | sed -n 's/^sub *//p')")
}

// backup has FILE stand for a backup.
func (r *rehearsal) backup() {
	made, err := filepath.Glob(r.here("/var/lib/calleridp/backups/*.backup"))
	if err != nil || made == nil {
		r.Fatalf("there is no backup (%v)", err)
	}
	r.values["FILE"] = strings.TrimPrefix(made[0], r.root)
}

// user signs in the user whom the commands about users are for.
func (r *rehearsal) user() {
	r.must("calleridp limit clear NUMBER") // the last sign-in by it holds other browsers off
	r.signIn("/account")
}

// signIn signs in at a path, by a number that approves by itself.
func (r *rehearsal) signIn(at string) {
	r.Helper()
	browser := harness.NewBrowser(r, r.values["ISSUER"])
	left, page := browser.Follow(browser.Submit(browser.Get(r.values["ISSUER"]+at), r.values["NUMBER"]), harness.Timeout)
	if left == nil && !page.Has("account") {
		r.Fatalf("the sign-in stopped at %s (status %d)", page.URL, page.Status)
	}
}

// must runs a line that is not in the document.
func (r *rehearsal) must(line string) {
	r.Helper()
	if out, err := r.shell(line); err != nil {
		r.Fatalf("%s: %v\n%s", line, err, out)
	}
}
