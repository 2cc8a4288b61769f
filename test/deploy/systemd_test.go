// SPDX-License-Identifier: Apache-2.0

// Package deploy runs the tools of others over the files of the folder deploy.
package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// exposure is what `systemd-analyze security` may say of the service at most, in tenths. systemd
// 252 says 1.1, most of it for the network; newer ones count more.
const exposure = "20"

// systemd finds nothing wrong with the units, and little that the service could do
// otherwise. The options of its version count, 252 or newer.
func TestUnits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"calleridp.service", "calleridp.socket"} {
		raw, err := os.ReadFile("../../deploy/systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		const program = "ExecStart=/usr/local/bin/calleridp serve --config /etc/calleridp/calleridp.yaml\n"
		if name == "calleridp.service" && !strings.Contains(string(raw), program) {
			t.Errorf("%s has no %q", name, program)
		}
		text := strings.ReplaceAll(string(raw), "/usr/local/bin/calleridp", harness.Binary(t))
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	run := func(args ...string) {
		t.Helper()
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v (./test/all installs it)\n%s", args[0], err, out)
		}
	}
	run(append([]string{"verify"}, files...)...)
	run("security", "--offline=yes", "--threshold="+exposure, files[0])
}

// The configuration names the credentials that the unit loads, and no others.
func TestCredentialsOfTheUnit(t *testing.T) {
	unit, err := os.ReadFile("../../deploy/systemd/calleridp.service")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("../../deploy/systemd/calleridp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	loaded := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^LoadCredential=([^:\n]+):/etc/calleridp/(.+)$`).FindAllStringSubmatch(string(unit), -1) {
		if m[1] != m[2] { // so that CREDENTIALS_DIRECTORY=/etc/calleridp serves commands
			t.Errorf("the credential %s comes from %s", m[1], m[2])
		}
		loaded[m[1]] = true
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{CREDENTIALS_DIRECTORY\}/(\S+)`).FindAllStringSubmatch(string(config), -1) {
		used[m[1]] = true
		if !loaded[m[1]] {
			t.Errorf("the unit does not load %s", m[1])
		}
	}
	if len(used) != len(loaded) || len(used) == 0 {
		t.Errorf("the unit loads %v, and the configuration uses %v", loaded, used)
	}
}
