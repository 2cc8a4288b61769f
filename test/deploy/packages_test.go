// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"

	"github.com/goccy/go-yaml"
)

// The packages have the program, the units and what an operator looks for, and scripts that a
// shell takes. deploy/release/build puts together what they are made of.
func TestPackages(t *testing.T) {
	var p struct {
		Scripts  map[string]string `yaml:"scripts"`
		Contents []struct {
			Src      string `yaml:"src"`
			Dst      string `yaml:"dst"`
			Packager string `yaml:"packager"`
		} `yaml:"contents"`
	}
	if err := yaml.Unmarshal([]byte(harness.Source(t, "deploy/release/nfpm.yaml")), &p); err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, c := range p.Contents {
		has[c.Packager+c.Dst] = true
		// Of the archive: units are rewritten for the package, and the rest is made by the build.
		src := strings.Replace(c.Src, "systemd/", "deploy/systemd/", 1)
		switch dir, name := filepath.Split(src); {
		case src == "" || src == "calleridp" || dir == "man/" || dir == "completions/":
			continue
		case dir == "package/":
			src = "deploy/systemd/" + name
		case name == "calleridp.example.yaml":
			src = "deploy/" + name
		}
		if _, err := os.Stat(filepath.Join("../..", src)); err != nil {
			t.Errorf("%s: %v", c.Dst, err)
		}
	}
	for _, want := range []string{
		"/usr/bin/calleridp", "/usr/share/man/man1/", "/usr/lib/systemd/system/calleridp.service", "/usr/lib/systemd/system/calleridp.socket",
		"/usr/share/bash-completion/completions/calleridp", "deb/usr/share/zsh/vendor-completions/_calleridp", "rpm/usr/share/zsh/site-functions/_calleridp",
		"/usr/share/fish/vendor_completions.d/calleridp.fish", "/etc/calleridp", "/var/lib/calleridp",
	} {
		if !has[want] {
			t.Errorf("the packages have no %s", want)
		}
	}
	if len(p.Scripts) != 4 {
		t.Errorf("got scripts %v, want four", p.Scripts)
	}
	for _, script := range p.Scripts {
		file := filepath.Join("../../deploy/release", script)
		if out, err := exec.Command("sh", "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
	// A script that deletes would delete the master key one day.
	for _, word := range []string{"rm ", "userdel"} {
		if text := harness.Source(t, "deploy/release/package/postremove"); strings.Contains(text, word) {
			t.Errorf("postremove has %q", word)
		}
	}
}
