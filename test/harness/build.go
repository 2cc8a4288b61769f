// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Source returns the text of a file of this module.
func Source(t testing.TB, path string) string {
	t.Helper()
	top, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(top, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Root returns the folder of this module.
func Root() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "calleridp").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// BuildWith is Build for a test.
func BuildWith(t testing.TB, files map[string]string) string {
	t.Helper()
	binary, err := Build(t.TempDir(), files)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// Build builds the program in dir with other files, by their paths in this module, and
// returns the binary. Nothing changes in the work tree.
func Build(dir string, files map[string]string) (binary string, err error) {
	top, err := Root()
	if err != nil {
		return "", err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range files {
		file := filepath.Join(dir, strconv.Itoa(len(overlay.Replace)))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(top, path)] = file
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	described, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "calleridp")
	if err := os.WriteFile(described, list, 0o600); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-overlay", described, "-o", binary, "./cmd/calleridp")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building calleridp with %d other files: %w\n%s", len(files), err, out)
	}
	return binary, nil
}
