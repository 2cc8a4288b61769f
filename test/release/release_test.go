// SPDX-License-Identifier: Apache-2.0

// Package release tests deploy/release/build.
package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// run runs a command in a folder, with further variables, and returns its output.
func run(t *testing.T, dir string, environment []string, name string, words ...string) string {
	t.Helper()
	cmd := exec.Command(name, words...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, words, err, out)
	}
	return string(out)
}

// The same commit gives the same archive, byte by byte, in two folders and with other settings
// of the machine. The version is that of the tag. What is not committed or has no tag is no
// release.
func TestReleasesAreReproducible(t *testing.T) {
	t.Parallel()
	top, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	platform := "TARGETS=" + strings.TrimSpace(run(t, top, nil, "go", "env", "GOHOSTOS")) + "/" + strings.TrimSpace(run(t, top, nil, "go", "env", "GOHOSTARCH"))
	var sums []string
	var clone string
	for _, machine := range []struct {
		folder, umask string
		environment   []string
	}{
		{"one", "022", []string{"TZ=UTC", "LC_ALL=C"}},
		{"another/folder with a space", "077", []string{"TZ=Asia/Kolkata", "LC_ALL=C.UTF-8", "GOAMD64=v2"}},
	} {
		clone = filepath.Join(base, machine.folder)
		run(t, top, nil, "git", "clone", "--quiet", "--no-hardlinks", top, clone)
		dist := clone + ".dist"
		run(t, clone, append(machine.environment, platform, "SBOM=no", "PACKAGES=no"),
			"sh", "-c", "umask "+machine.umask+` && deploy/release/build --snapshot "$0"`, dist)
		text, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(text), "\n"); lines != 1 || !strings.Contains(string(text), ".tar.gz") {
			t.Fatalf("got %q, want one archive", text)
		}
		sums = append(sums, string(text))
	}
	if sums[0] != sums[1] {
		t.Errorf("two builds differ:\n%s%s", sums[0], sums[1])
	}

	refused := func(what, says string) {
		t.Helper()
		cmd := exec.Command("deploy/release/build", filepath.Join(base, "refused"))
		cmd.Dir = clone
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), says) {
			t.Errorf("%s: got %v, %s, want %q", what, err, out, says)
		}
	}
	refused("without a tag", "this commit has no tag like v1.2.3")
	run(t, clone, nil, "git", "tag", "v0.98.7")
	refused("without a section in the changelog", `CHANGELOG.md has no section "## 0.98.7"`)
	program := filepath.Join(base, "tagged")
	run(t, clone, nil, "go", "build", "-trimpath", "-buildvcs=true", "-o", program, "./cmd/calleridp")
	if got := run(t, clone, nil, program, "version"); !strings.HasPrefix(got, "calleridp v0.98.7 ") {
		t.Errorf("the version is %q, want that of the tag v0.98.7", got)
	}
	if err := os.WriteFile(filepath.Join(clone, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("with a file that is not committed", "the work tree has changes")
}
