package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A mistake on the command line is one clear line on standard error with the
// way out, and status 2; nothing else is printed.
func TestWrongWordsGetOneLine(t *testing.T) {
	clean(t)
	for _, row := range []struct{ line, says string }{
		{"frobnicate", `there is no command "frobnicate"; calleridp help lists them`},
		{"--version", `there is no command "--version"; calleridp help lists them`},
		{"serve --confg x", "flag provided but not defined: -confg; calleridp serve -h lists the flags"},
		{"serve now", `unexpected "now"; calleridp serve -h lists the flags`},
		{"config", "say which: calleridp config check"},
		{"config show", "there is no config show; there are check"},
		{"client", "say which: calleridp client add|list|remove|rotate-secret|show"},
		{"client frob", "there is no client frob; there are add, list, remove, rotate-secret, show"},
		{"client show", "CLIENT_ID is missing: calleridp client show CLIENT_ID"},
		{"client show --json", "CLIENT_ID is missing"},
		{"client remove a b", `unexpected "b"`},
		{"client add", "--name NAME is missing"},
		{"client add --name Shop", "--redirect-uri ADDRESS is missing"},
		{"keys", "say which: calleridp keys init-master|list|remove|rotate"},
		{"keys init-master", "--out FILE is missing"},
		{"keys rotate --force=maybe", `invalid boolean value "maybe"`},
		{"dev --provider-port many", `invalid value "many" for flag -provider-port`},
		{"dev --provider-port 99999", "--provider-port 99999 is not a port"},
		{"dev --host id.example.com", "--host id.example.com needs --tls"},
		{"version 2", `unexpected "2"`},
	} {
		status, out, errOut := runs(t, strings.Fields(row.line)...)
		out = strings.TrimPrefix(out, "Opening ports.\n")
		if status != 2 || out != "" || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, row.says) || !strings.HasPrefix(errOut, "calleridp") {
			t.Errorf("calleridp %s: status %d, output %q, error %q; want %q", row.line, status, out, errOut, row.says)
		}
	}
}

func TestHelp(t *testing.T) {
	clean(t)
	for _, row := range []struct{ line, says string }{
		{"", "calleridp dev"},
		{"help", "calleridp dev"},
		{"-h", "calleridp dev"},
		{"serve -h", "-config file"},
		{"help serve", "-config file"},
		{"dev --help", "-provider-port port"},
		{"client -h", "add, list, remove, rotate-secret, show"},
		{"client add -h", "-redirect-uri address"},
		{"help client show", "calleridp client show CLIENT_ID: shows an application"},
		{"keys rotate -h", "-force"},
		{"config check -h", "CALLERIDP_CONFIG"},
		{"version", "calleridp "},
	} {
		if status, out, errOut := runs(t, strings.Fields(row.line)...); status != 0 || errOut != "" || !strings.Contains(out, row.says) {
			t.Errorf("calleridp %s: status %d, output %q, error %q; want %q", row.line, status, out, errOut, row.says)
		}
	}
	// Every flag says what it is for.
	for _, line := range []string{"serve", "dev", "config check", "client add", "client list", "client show", "client rotate-secret", "client remove", "keys init-master", "keys list", "keys rotate", "keys remove"} {
		_, out, _ := runs(t, append(strings.Fields(line), "-h")...)
		for paragraph := range strings.SplitSeq(out, "\n  -") {
			if len(strings.Fields(paragraph)) < 3 {
				t.Errorf("calleridp %s: a flag without a word: %q", line, paragraph)
			}
		}
	}
}

func TestMasterKeyIsMadeOnce(t *testing.T) {
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

// A command finds the server's socket by flag, by configuration, by environment,
// or where the packages put it.
func TestWhereTheServerIs(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(config, []byte("data_dir: "+dir+"/data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	says := func(socket string, args ...string) {
		t.Helper()
		status, _, errOut := runs(t, append([]string{"client", "list"}, args...)...)
		if want := "no server runs at " + socket + "; start it"; status != 1 || !strings.Contains(errOut, want) {
			t.Errorf("%v: %d %s; want %q", args, status, errOut, want)
		}
	}
	says(defaultSocket)
	says(dir+"/data/admin.sock", "--config", config)
	says(dir+"/x.sock", "--config", config, "--socket", dir+"/x.sock")
	t.Setenv("CALLERIDP_ADMIN_SOCKET", dir+"/y.sock")
	says(dir + "/y.sock")
	says(dir+"/y.sock", "--config", config)
	t.Setenv("CALLERIDP_ADMIN_SOCKET", "")
	t.Setenv("CALLERIDP_CONFIG", config)
	says(dir + "/data/admin.sock")
}
