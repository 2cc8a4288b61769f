package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/envtest"
)

// runs runs a command line in this process.
func runs(t *testing.T, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, &o, &e)
	return status, o.String(), e.String()
}

// A wrong command line prints one clear line on standard error, with the way out,
// and nothing else. The exit status is 2.
func TestWrongUsageGetsOneLine(t *testing.T) {
	envtest.Clear(t)
	for _, row := range []struct{ line, says string }{
		{"frobnicate", `unknown command "frobnicate"; run calleridp help to list the commands`},
		{"--versions", `unknown command "--versions"; run calleridp help to list the commands`},
		{"serve --confg x", "flag provided but not defined: -confg; run calleridp serve -h to list the flags"},
		{"serve now", `unexpected argument "now"; usage: calleridp serve`},
		{"config", "usage: calleridp config check"},
		{"config show", `unknown command "config show"; usage: calleridp config check`},
		{"client", "usage: calleridp client add|list|remove|rotate-secret|show"},
		{"client frob", `unknown command "client frob"; usage: calleridp client add|list|remove|rotate-secret|show`},
		{"client show", "missing CLIENT_ID; usage: calleridp client show CLIENT_ID"},
		{"client show --json", "missing CLIENT_ID"},
		{"client remove a b", `unexpected argument "b"; usage: calleridp client remove CLIENT_ID`},
		{"client add", "missing --name NAME"},
		{"client add --name Shop", "missing --redirect-uri URI"},
		{"keys", "usage: calleridp keys init-master|list|remove|rotate"},
		{"keys init-master", "missing --out FILE"},
		{"keys rotate --force=maybe", `invalid boolean value "maybe"`},
		{"store", "usage: calleridp store copy"},
		{"store copy", "missing --to postgres or --to bolt"},
		{"store copy --to sqlite", "missing --to postgres or --to bolt"},
		{"store copy a", `unexpected argument "a"`},
		{"dev --provider-port many", `invalid value "many" for flag -provider-port`},
		{"dev --provider-port 99999", "--provider-port 99999 is not a port"},
		{"dev --host id.example.com", "--host id.example.com needs --tls"},
		{"version 2", `unexpected argument "2"`},
	} {
		t.Run(row.line, func(t *testing.T) {
			status, out, errOut := runs(t, strings.Fields(row.line)...)
			out = strings.TrimPrefix(out, "Opening ports.\n")
			if status != 2 || out != "" || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, row.says) || !strings.HasPrefix(errOut, "calleridp") {
				t.Errorf("got status %d, output %q, error %q; want status 2 and one line with %q", status, out, errOut, row.says)
			}
		})
	}
}

// A failure prints its command and its reason. The exit status is 1.
func TestFailure(t *testing.T) {
	envtest.Clear(t)
	status, out, errOut := runs(t, "config", "check", "--config", "config/testdata/config/data-dir-missing.yaml")
	want := "calleridp config: config/testdata/config/data-dir-missing.yaml has "
	if status != 1 || out != "" || !strings.HasPrefix(errOut, want) || !strings.Contains(errOut, "\n  data_dir: missing") {
		t.Errorf("got status %d, output %q, error %q; want status 1 and %q", status, out, errOut, want)
	}
}

// The help names every command, so that an operator finds it.
func TestHelpNamesEveryCommand(t *testing.T) {
	for name := range commands {
		if !strings.Contains(usage, "\n  calleridp "+name+" ") {
			t.Errorf("the help lacks %q", name)
		}
	}
}

func TestHelp(t *testing.T) {
	envtest.Clear(t)
	for _, row := range []struct{ line, says string }{
		{"", "calleridp dev"},
		{"help", "calleridp dev"},
		{"-h", "calleridp dev"},
		{"serve -h", "-config file"},
		{"help serve", "-config file"},
		{"dev --help", "-provider-port port"},
		{"client -h", "add|list|remove|rotate-secret|show"},
		{"client add -h", "-redirect-uri uri"},
		{"help client show", "calleridp client show CLIENT_ID: show an application"},
		{"keys rotate -h", "-force"},
		{"config check -h", "CALLERIDP_CONFIG"},
		{"store copy -h", "-skip-damaged"},
		{"version", "calleridp "},
		{"--version", "calleridp "},
		{"-v", "calleridp "},
	} {
		if status, out, errOut := runs(t, strings.Fields(row.line)...); status != 0 || errOut != "" || !strings.Contains(out, row.says) {
			t.Errorf("calleridp %s: got status %d, output %q, error %q; want status 0 and %q", row.line, status, out, errOut, row.says)
		}
	}
}

func TestEveryFlagIsExplained(t *testing.T) {
	envtest.Clear(t)
	for _, line := range []string{"serve", "dev", "config check", "client add", "client list", "client show", "client rotate-secret", "client remove", "keys init-master", "keys list", "keys rotate", "keys remove", "store copy"} {
		_, out, _ := runs(t, append(strings.Fields(line), "-h")...)
		for paragraph := range strings.SplitSeq(out, "\n  -") {
			if len(strings.Fields(paragraph)) < 3 {
				t.Errorf("calleridp %s: a flag without an explanation: %q", line, paragraph)
			}
		}
	}
}

func TestMasterKeyIsCreatedOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "master.key")
	if status, out, errOut := runs(t, "keys", "init-master", "--out", file); status != 0 || !strings.Contains(out, "Keep a copy") {
		t.Fatalf("%d %s%s", status, out, errOut)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, errOut := runs(t, "keys", "init-master", "--out", file); status != 1 || !strings.Contains(errOut, "is not overwritten") {
		t.Errorf("%d %s", status, errOut)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Error("it was overwritten")
	}
}

// Operators' commands find the server's socket by flag, by configuration, by
// environment, or where the packages put it.
func TestFindsTheServersSocket(t *testing.T) {
	envtest.Clear(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(config, []byte("data_dir: "+dir+"/data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	says := func(socket string, args ...string) {
		t.Helper()
		status, _, errOut := runs(t, append([]string{"client", "list"}, args...)...)
		if want := "no server runs at " + socket + "; start it"; status != 1 || !strings.Contains(errOut, want) {
			t.Errorf("%v: got status %d, error %q; want %q", args, status, errOut, want)
		}
	}
	says("/var/lib/calleridp/admin.sock")
	says(dir+"/data/admin.sock", "--config", config)
	says(dir+"/x.sock", "--config", config, "--socket", dir+"/x.sock")
	t.Setenv("CALLERIDP_ADMIN_SOCKET", dir+"/y.sock")
	says(dir + "/y.sock")
	says(dir+"/y.sock", "--config", config)
	t.Setenv("CALLERIDP_ADMIN_SOCKET", "")
	t.Setenv("CALLERIDP_CONFIG", config)
	says(dir + "/data/admin.sock")
}

// A key stays published for as long as anything that it signed is valid.
func TestRetiredKeysOutliveTheirTokens(t *testing.T) {
	for _, lifetime := range []time.Duration{time.Hour, 30 * 24 * time.Hour} {
		c := config.Config{Lifetimes: config.Lifetimes{IDToken: config.Duration(lifetime)}}
		if got, want := retireFor(c), lifetime+24*time.Hour; got < want {
			t.Errorf("ID tokens valid for %s: got keys published for %s after the last, want at least %s", lifetime, got, want)
		}
	}
}
