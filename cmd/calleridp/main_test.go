// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/envtest"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// runs runs a command line in this process.
func runs(t *testing.T, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	status = command.Run(t.Context(), newRoot(), args, &o, &e)
	return status, o.String(), e.String()
}

// A wrong command line prints one clear line on standard error, with the way out,
// and nothing else. The exit status is 2.
func TestWrongUsageGetsOneLine(t *testing.T) {
	envtest.Clear(t)
	for _, row := range []struct{ line, says string }{
		{"frobnicate", `unknown command "frobnicate"; run calleridp help to list the commands`},
		{"sevre", `unknown command "sevre"; did you mean serve?; run calleridp help to list the commands`},
		{"--versions", "unknown flag --versions; did you mean --version?; run calleridp -h to list the flags"},
		{"help frob", `unknown command "frob"; run calleridp help to list the commands`},
		{"help client ad", `unknown command "client ad"; did you mean add?; usage: calleridp client add|edit|list`},
		{"help serve now", `unexpected argument "now"; calleridp serve has no commands`},
		{"serve --confg x", "unknown flag --confg; did you mean --config?; run calleridp serve -h to list the flags"},
		{"serve --config", "flag needs an argument: --config; run calleridp serve -h to list the flags"},
		{"serve -config x", "unknown flag -config; did you mean --config?; run calleridp serve -h to list the flags"},
		{"serve -x", "unknown flag -x; run calleridp serve -h"},
		{"serve now", `unexpected argument "now"; usage: calleridp serve`},
		{"config", "usage: calleridp config check"},
		{"config dump", `unknown command "config dump"; usage: calleridp config check|show`},
		{"status now", `unexpected argument "now"; usage: calleridp status`},
		{"client", "usage: calleridp client add|edit|list|remove|rotate-secret|show"},
		{"client frob", `unknown command "client frob"; usage: calleridp client add|edit|list|remove|rotate-secret|show`},
		{"client show", "missing CLIENT_ID; usage: calleridp client show CLIENT_ID"},
		{"client delete", `unknown command "client delete"; did you mean remove?; usage: calleridp client add|`},
		{"client show --output json", "missing CLIENT_ID"},
		{"client list -o yaml", `invalid value "yaml" for --output: use one of table, json; run calleridp client list -h`},
		{"client remove a b", `unexpected argument "b"; usage: calleridp client remove CLIENT_ID`},
		{"client add", "missing --name NAME"},
		{"client add --name Shop", "missing --redirect-uri URI"},
		{"keys", "usage: calleridp keys init-master|list|remove|rotate"},
		{"keys init-master", "missing --out FILE"},
		{"keys rotate --force=maybe", `invalid value "maybe" for --force: invalid syntax`},
		{"store", "usage: calleridp store copy"},
		{"store copy", "missing --to postgres or --to bolt"},
		{"store copy --to sqlite", `invalid value "sqlite" for --to: use one of postgres, bolt`},
		{"store copy a", `unexpected argument "a"`},
		{"dev --provider-port many", `invalid value "many" for --provider-port: invalid syntax`},
		{"dev --provider-port 99999", "--provider-port 99999 is not a port"},
		{"dev --host id.example.com", "--host id.example.com needs --tls"},
		{"simulate", "missing --app-key and --callback-url, or --config FILE"},
		{"simulate --app-key x", "--app-key TEXT and --callback-url URL go together"},
		{"simulate --app-key x --callback-url /callback/default/s", "--app-key TEXT and --callback-url URL go together"},
		{"simulate --listen 0.0.0.0:9441", "--listen 0.0.0.0:9441 is not a loopback address"},
		{"simulate --listen :9441", "--listen :9441 is not a loopback address"},
		{"doctor now", `unexpected argument "now"; usage: calleridp doctor`},
		{"health --timeout soon", `invalid value "soon" for --timeout`},
		{"version 2", `unexpected argument "2"`},
		{"completion", "missing SHELL; usage: calleridp completion SHELL"},
		{"completion tcsh", `unknown shell "tcsh"; use bash, zsh or fish`},
		{"man", "missing --dir DIRECTORY"},
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

// everyCommand calls do for every command that can run, and every group.
func everyCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, member := range c.Commands() {
		everyCommand(member, do)
	}
}

// The help names every command, so that an operator finds it.
func TestHelpNamesEveryCommand(t *testing.T) {
	_, help, _ := runs(t, "help")
	commands := 0
	everyCommand(newRoot(), func(c *cobra.Command) {
		if c.IsAvailableCommand() && c.HasParent() {
			commands++
			if !regexp.MustCompile(`\b` + c.Name() + `\b`).MatchString(help) {
				t.Errorf("the help lacks %q", c.CommandPath())
			}
		}
	})
	if commands < 20 {
		t.Errorf("got %d commands, want more", commands)
	}
}

// The help of a command lists each of its flags, also of one that runs alone and has members.
func TestHelpListsEveryFlag(t *testing.T) {
	envtest.Clear(t)
	everyCommand(newRoot(), func(c *cobra.Command) {
		if !c.HasParent() || !c.IsAvailableCommand() {
			return
		}
		words := strings.Fields(c.CommandPath())[1:]
		_, help, _ := runs(t, append(words, "-h")...)
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if (!c.HasSubCommands() || f.Name != "help") && !f.Hidden && !strings.Contains(help, "--"+f.Name+" ") {
				t.Errorf("%s -h does not list --%s:\n%s", c.CommandPath(), f.Name, help)
			}
		})
	})
}

// Each command has an example, which is a command line that it takes.
func TestEveryCommandHasAnExample(t *testing.T) {
	envtest.Clear(t)
	everyCommand(newRoot(), func(c *cobra.Command) {
		if c.HasSubCommands() && c.Example == "" {
			return
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(line, " > ")
			if err := parses(line); err != nil || !strings.Contains(line, c.CommandPath()) {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
			}
		}
	})
}

func TestHelp(t *testing.T) {
	envtest.Clear(t)
	for _, row := range []struct{ line, says string }{
		{"", "calleridp dev"},
		{"help", "calleridp dev"},
		{"-h", "calleridp dev"},
		{"serve -h", "--config file"},
		{"help serve", "--config file"},
		{"dev --help", "--provider-port port"},
		{"client -h", "add|edit|list|remove|rotate-secret|show"},
		{"client add -h", "--redirect-uri uri"},
		{"help client show", "calleridp client show CLIENT_ID: show an application"},
		{"backup -h", "usage: calleridp backup [list|verify]"},
		{"backup -h", "Flags of calleridp backup alone:"},
		{"help client show", "Example:\n\n  calleridp client show shop\n"},
		{"help help", "calleridp help client add"},
		{"completion bash", "__complete"},
		{"completion zsh", "#compdef calleridp"},
		{"completion fish", "complete -c calleridp"},
		{"keys rotate -h", "--force"},
		{"config check -h", "CALLERIDP_CONFIG"},
		{"store copy -h", "--skip-damaged"},
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
	everyCommand(newRoot(), func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if len(strings.Fields(f.Usage)) < 3 {
				t.Errorf("%s: --%s has no explanation: %q", c.CommandPath(), f.Name, f.Usage)
			}
			if name, _ := pflag.UnquoteUsage(f); f.Value.Type() != "bool" && !strings.Contains(f.Usage, "`"+name+"`") {
				t.Errorf("%s: --%s does not name its value: %q", c.CommandPath(), f.Name, f.Usage)
			}
		})
	})
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

// A manual page is there for each command, with its flags and its example.
func TestManualPagesAreComplete(t *testing.T) {
	envtest.Clear(t)
	t.Setenv("SOURCE_DATE_EPOCH", "1764460800")
	dir := filepath.Join(t.TempDir(), "man1")
	if status, out, errOut := runs(t, "man", "--dir", dir); status != 0 || out != "" {
		t.Fatalf("%d %s%s", status, out, errOut)
	}
	pages := 0
	everyCommand(newRoot(), func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		pages++
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		page, err := os.ReadFile(filepath.Join(dir, name+".1"))
		if err != nil {
			t.Error(err)
			return
		}
		text := strings.NewReplacer(`\-`, "-", `\fB`, "", `\fP`, "", `\&`, "").Replace(string(page))
		if !strings.Contains(text, `"Nov 2025"`) || !strings.Contains(text, name+" - "+c.Short) {
			t.Errorf("%s.1 lacks its date or what the command does:\n%s", name, text)
		}
		for line := range strings.Lines(c.Example) {
			if !strings.Contains(text, strings.TrimSpace(line)) {
				t.Errorf("%s.1 lacks the example %q", name, line)
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(text, "--"+f.Name) {
				t.Errorf("%s.1 lacks --%s", name, f.Name)
			}
		})
	})
	if files, err := os.ReadDir(dir); err != nil || len(files) != pages || pages < 25 {
		t.Errorf("got %d files (%v), want one for each of %d commands", len(files), err, pages)
	}
}

// A shell completes commands, flags and their values, and without a server no client id,
// silently.
func TestCompletion(t *testing.T) {
	envtest.Clear(t)
	t.Setenv("CALLERIDP_ADMIN_SOCKET", filepath.Join(t.TempDir(), "none.sock"))
	for _, row := range []struct {
		line, want string
	}{
		{"cli|", "client\tmanage the applications that may sign users in\n:4"},
		{"client r|", "remove\tremove an application and revoke its tokens\nrotate-secret\tgive"},
		{"client list --o|", "--output\tformat of what is printed: table or json"},
		{"client list --output |", "table\njson\n:4"},
		{"help client s|", "show\tshow an application"},
		{"completion |", "bash\nzsh\nfish\n:4"},
		{"client show |", ":4"},
		{"client remove |", ":4"},
		{"limit show --client |", ":4"},
		{"serve --config |", "yaml\nyml\n:8"},
	} {
		words := strings.Split(strings.TrimSuffix(row.line, "|"), " ")
		status, out, errOut := runs(t, append([]string{"__complete"}, words...)...)
		if status != 0 || !strings.HasPrefix(out, row.want) || strings.Contains(errOut, "no server") {
			t.Errorf("%s: got status %d, %q, %q; want %q", row.line, status, out, errOut, row.want)
		}
	}
}
