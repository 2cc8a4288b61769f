// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"calleridp/cmd/calleridp/envtest"
	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/storage/postgres"
)

// check runs `calleridp config check` in this process.
func check(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var b bytes.Buffer
	c := Command()
	c.SetArgs(append([]string{"check"}, args...))
	c.SetOut(&b)
	err = c.ExecuteContext(t.Context())
	return b.String(), err
}

// Each file in testdata/config has an error and says in its first lines what is to
// be reported: exactly those keys, in this order, with the line of the error.
func TestEveryErrorIsReportedWithItsKey(t *testing.T) {
	envtest.Clear(t)
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	anyLine := regexp.MustCompile(`\(line \d+\)`)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := string(raw)
			out, err := check(t, "--config", file)
			if err == nil || out != "" {
				t.Fatalf("got error %v, output %q; want an error alone", err, out)
			}
			got := err.Error()
			if fatal, ok := strings.CutPrefix(text, "# fatal: "); ok {
				fatal, _, _ = strings.Cut(fatal, "\n")
				if !strings.Contains(got, file+" "+fatal) {
					t.Errorf("got %s\nwant %q", got, fatal)
				}
				return
			}
			var want []string
			for line := range strings.Lines(text) {
				if w, ok := strings.CutPrefix(line, "# want: "); ok {
					want = append(want, strings.TrimSpace(w))
				}
			}
			lines := strings.Split(got, "\n")
			plural := "s"
			if len(want) == 1 {
				plural = ""
			}
			if head := fmt.Sprintf("%s has %d problem%s:", file, len(want), plural); lines[0] != head {
				t.Errorf("got %q, want %q", lines[0], head)
			}
			for i, w := range want {
				if i+1 >= len(lines) {
					t.Errorf("not reported: %s", w)
					continue
				}
				have := strings.TrimPrefix(lines[i+1], "  ")
				if !strings.HasPrefix(anyLine.ReplaceAllString(have, "(line N)"), w) {
					t.Errorf("got  %s\nwant %s", have, w)
				}
				atLine(t, text, have)
			}
			for _, line := range lines[min(len(lines), len(want)+1):] {
				t.Errorf("reported too: %s", line)
			}
		})
	}
}

// atLine checks that the line that an error names has its key, or is inside of it.
func atLine(t *testing.T, text, reported string) {
	t.Helper()
	var n int
	key, rest, ok := strings.Cut(reported, " (line ")
	if !ok {
		return
	}
	if _, err := fmt.Sscan(strings.TrimRight(rest[:strings.IndexByte(rest, ')')], ")"), &n); err != nil {
		t.Fatal(err)
	}
	key = key[strings.LastIndexByte(key, '.')+1:]
	key, _, inList := strings.Cut(key, "[")
	lines := strings.Split(text, "\n")
	missing := strings.Contains(reported, "missing") || strings.Contains(reported, "is empty") // at the table that it is missing in
	if !strings.Contains(lines[n-1], key+":") && !inList && !missing {
		t.Errorf("line %d is %q, not about %s", n, lines[n-1], key)
	}
}

// The shipped example is valid, with its files in place.
func TestExampleConfiguration(t *testing.T) {
	envtest.Clear(t)
	raw, err := os.ReadFile("../../../deploy/calleridp.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := filepath.Join(dir, "etc")
	if err := os.MkdirAll(filepath.Join(files, "pages"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := selfsigned.Write(filepath.Join(files, "tls.crt"), filepath.Join(files, "tls.key"), "login.example.com"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"master.key": strings.Repeat("01", 32), "truecaller.appkey": "key", "truecaller.callback": strings.Repeat("a", 64), "shop.secret": strings.Repeat("b", 64),
		"logo.svg": `<svg xmlns="http://www.w3.org/2000/svg"/>`, "shop.appkey": "key", "shop.callback": strings.Repeat("c", 64),
	} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.ReplaceAll(string(raw), "/etc/calleridp", files)
	file := filepath.Join(dir, "calleridp.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	if out, err := check(t, "--config", file); err != nil || out != file+": OK\n" {
		t.Fatalf("got %q, %v; want OK", out, err)
	}
	plain, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	// What is commented out shows the defaults: with it, nothing changes.
	write(regexp.MustCompile(`(?m)^(\s*)# ((?:  )*(?:- )?[a-z_]+:(?: |$)|  +- (?:https|com\.))`).ReplaceAllString(text, "$1$2"))
	full, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(full.TruecallerApps) != 2 || full.Apps[1].ID != "shop" || full.Apps[1].NativeOnly() || full.Apps[2].ID != "android" || !full.Apps[2].NativeOnly() {
		t.Errorf("the other apps of the example: %+v", full.TruecallerApps)
	}
	if full.Tracing.Sample != 1 || full.Traces.Endpoint == nil {
		t.Errorf("the traces of the example: got %+v", full.Tracing)
	}
	full.UI, full.MetricsListen, full.Tracing = UI{}, "", Tracing{}
	full.TrustedProxies, full.Subject, full.TruecallerApps = nil, Subject{}, plain.TruecallerApps // these have no default to show
	if len(full.Config.Clients) != 2 || len(full.Config.Clients[0].Scopes) == 0 || !full.Config.Clients[1].Public {
		t.Errorf("the clients of the example: got %+v, want a confidential and a public one", full.Config.Clients)
	}
	full.Config.Clients, full.DefaultRegion = plain.Config.Clients, plain.DefaultRegion
	if a, b := fmt.Sprintf("%+v", plain.Config), fmt.Sprintf("%+v", full.Config); a != b {
		t.Errorf("what is commented out is not the default:\n%s\n%s", a, b)
	}
	for _, key := range []string{"lifetimes:", "limits:", "keys:", "log:", "subject:", "profile_urls:", "trusted_proxies:"} {
		if !strings.Contains(text, key) {
			t.Errorf("the example does not show %s", key)
		}
	}
}

func TestEveryKeyComesFromTheEnvironment(t *testing.T) {
	envtest.Clear(t)
	for name, value := range map[string]string{
		"CALLERIDP_ISSUER":                     "https://id.example.com",
		"CALLERIDP_LISTEN":                     "127.0.0.1:8080",
		"CALLERIDP_TRUSTED_PROXIES":            "10.0.0.0/8, 192.168.0.0/16",
		"CALLERIDP_DATA_DIR":                   "/var/lib/x",
		"CALLERIDP_MASTER_KEY":                 strings.Repeat("01", 32),
		"CALLERIDP_TRUECALLER_APP_NAME":        "Test",
		"CALLERIDP_TRUECALLER_APP_KEY":         "key",
		"CALLERIDP_TRUECALLER_CALLBACK_SECRET": strings.Repeat("a", 32),
		"CALLERIDP_TRUECALLER_PROFILE_URLS":    "https://p.example.com",
		"CALLERIDP_DEFAULT_REGION":             "SE",
		"CALLERIDP_LIFETIMES_ID_TOKEN":         "2h",
		"CALLERIDP_LIFETIMES_REFRESH_MAX":      "7d",
		"CALLERIDP_LIMITS_NUMBER":              "3/12h",
		"CALLERIDP_LOG_LEVEL":                  "warn",
		"CALLERIDP_DEBUG_LISTEN":               "",
		"CALLERIDP_NOTHING":                    "",
		// Kubernetes sets these for a service that is called calleridp.
		"CALLERIDP_SERVICE_HOST":       "10.0.0.1",
		"CALLERIDP_SERVICE_PORT":       "443",
		"CALLERIDP_SERVICE_PORT_HTTPS": "443",
		"CALLERIDP_PORT":               "tcp://10.0.0.1:443",
		"CALLERIDP_PORT_443_TCP":       "tcp://10.0.0.1:443",
		"CALLERIDP_PORT_443_TCP_ADDR":  "10.0.0.1",
		"CALLERIDP_ADMIN_PORT_80_TCP":  "tcp://10.0.0.2:80",
		"CALLERIDP_ADMIN_SERVICE_HOST": "10.0.0.2",
	} {
		t.Setenv(name, value)
	}
	s, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if s.Issuer != "https://id.example.com" || s.Listen != "127.0.0.1:8080" || len(s.Proxies) != 2 || s.Master == nil || s.Apps[0].Key != "key" ||
		len(s.Apps[0].Profiles) != 1 || s.DefaultRegion != "SE" || time.Duration(s.Lifetimes.IDToken) != 2*time.Hour ||
		limit.Rate(s.Limits.Number) != (limit.Rate{Burst: 3, Period: 12 * time.Hour}) || s.Log.Level != "warn" || s.AdminSocket != "/var/lib/x/admin.sock" {
		t.Errorf("%+v", s.Config)
	}
	// A shorter whole means a shorter part, when nothing else is said.
	if got := time.Duration(s.Lifetimes.RefreshIdle); got != 7*24*time.Hour {
		t.Errorf("refresh_idle %s", got)
	}
}

// A variable that sets nothing is a mistake like an unknown key. Its value may be a
// secret, so it is not shown (invariant 10).
func TestUnknownVariablesAreRefused(t *testing.T) {
	envtest.Clear(t)
	for name, says := range map[string]string{
		"CALLERIDP_LISTEM":                     "CALLERIDP_LISTEM: unknown variable; did you mean CALLERIDP_LISTEN?",
		"CALLERIDP_TRUECALLER_CALLBACK_SECRTE": "did you mean CALLERIDP_TRUECALLER_CALLBACK_SECRET?",
		"CALLERIDP_CONFIGS":                    "did you mean CALLERIDP_CONFIG?",
		"CALLERIDP_LISTEN_PORT":                "CALLERIDP_LISTEN_PORT: unknown variable",
		"CALLERIDP_CHEESE_OF_THE_DAY":          "CALLERIDP_CHEESE_OF_THE_DAY: unknown variable",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "hunter2")
			_, err := check(t)
			if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an error that says %q", err, says)
			}
		})
	}
}

func TestEnvironmentWinsAndIsNamedInErrors(t *testing.T) {
	envtest.Clear(t)
	t.Setenv("CALLERIDP_ISSUER", "https://id.example.com/")
	t.Setenv("CALLERIDP_LIMITS_NUMBER", "many")
	t.Setenv("CALLERIDP_CLIENTS", "shop")
	t.Setenv("CALLERIDP_TRUECALLER_CALLBACK_SECRET", "secret word")
	_, err := check(t, "--config", "testdata/config/issuer-http.yaml")
	if err == nil {
		t.Fatal("got no error")
	}
	got := err.Error()
	for _, want := range []string{
		"4 problems", `issuer (CALLERIDP_ISSUER): "https://id.example.com/" ends in a slash`,
		"limits.number (CALLERIDP_LIMITS_NUMBER): ", "clients (CALLERIDP_CLIENTS): cannot come from the environment",
		"truecaller.callback_secret (CALLERIDP_TRUECALLER_CALLBACK_SECRET): must be at least 32",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nhas no %q", got, want)
		}
	}
	if strings.Contains(got, "secret word") {
		t.Error("the secret is in the message")
	}
}

func TestWarnings(t *testing.T) {
	envtest.Clear(t)
	dir := t.TempDir()
	t.Setenv("CALLERIDP_MASTER_KEY", strings.Repeat("01", 32))
	t.Setenv("CALLERIDP_TRUECALLER_APP_KEY", "key")
	t.Setenv("CALLERIDP_TRUECALLER_CALLBACK_SECRET", strings.Repeat("a", 32))
	t.Setenv("CALLERIDP_TRUECALLER_APP_NAME", "Test")
	t.Setenv("CALLERIDP_DATA_DIR", dir)
	t.Setenv("CALLERIDP_ISSUER", "https://id.example.com")
	out, err := check(t)
	if err != nil || !strings.Contains(out, "note: trusted_proxies: unset") {
		t.Errorf("got %q, %v; want a note", out, err)
	}
	t.Setenv("CALLERIDP_ISSUER", "http://127.0.0.1:1")
	if out, _ = check(t); strings.Contains(out, "note:") {
		t.Error(out)
	}
}

func TestNoEngineIsAWarning(t *testing.T) {
	if got := (Settings{Postgres: new(postgres.Options)}).Warnings(); len(got) != 0 {
		t.Errorf("got %q, want none", got)
	}
}

func TestWarningsOfLimits(t *testing.T) {
	for _, row := range []struct {
		attempt, lock, coolDown time.Duration
		want                    string
	}{
		{5 * time.Minute, 5 * time.Minute, 5 * time.Minute, ""},
		{6 * time.Minute, 5 * time.Minute, 5 * time.Minute, "limits.lock: 5m is less than lifetimes.attempt, 6m;"},
		{5 * time.Minute, 5 * time.Minute, time.Minute, "limits.cool_down: 1m is less than limits.lock, 5m;"},
	} {
		var s Settings
		s.Lifetimes.Attempt, s.Limits.Lock, s.Limits.CoolDown = Duration(row.attempt), Duration(row.lock), Duration(row.coolDown)
		if got := strings.Join(s.Warnings(), "\n"); !strings.HasPrefix(got, row.want) || row.want == "" && got != "" || strings.Contains(got, "\n") {
			t.Errorf("%+v: got %q", row, got)
		}
	}
}

func TestWarningsOfClients(t *testing.T) {
	s := Settings{Clients: []client.Client{
		{Public: true, RedirectURIs: []string{"https://app.example", "http://localhost/cb"}},
		{PostLogoutRedirectURIs: []string{"com.example.app://bye"}},
	}}
	got := strings.Join(s.Warnings(), "\n")
	for _, want := range []string{`clients[0].redirect_uris[1]: "http://localhost/cb" may lead`, `clients[1].post_logout_redirect_uris[0]: "com.example.app://bye" names a host`} {
		if !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("got %s, want two lines and %s", got, want)
		}
	}
}

func FuzzTimes(f *testing.F) {
	for _, s := range []string{"90s", "15m", "30d", "1h30m", "0s", "-1s", "10/1h", "1e9h", "99999d", "d", "/", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d Duration
		if err := d.UnmarshalText([]byte(s)); (err == nil) != (d > 0) {
			t.Errorf("duration %q: %v, %v", s, time.Duration(d), err)
		}
		var r Rate
		if err := r.UnmarshalText([]byte(s)); (err == nil) != (r.Burst > 0 && r.Period > 0) {
			t.Errorf("rate %q: %+v, %v", s, r, err)
		}
	})
}

// Whatever a file holds, decoding it ends in errors and not in a panic.
func FuzzDocument(f *testing.F) {
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	file := filepath.Join(f.TempDir(), "calleridp.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var c Config
		d := newDecoder("")
		if err := d.readDocument(file, "", &c); err != nil {
			return
		}
		for _, e := range d.errors {
			if e.Key == "" || e.Reason == "" || e.Origin == "" && e.Key != "the document" {
				t.Errorf("got %+v, want a key, an origin and a reason", e)
			}
		}
	})
}
