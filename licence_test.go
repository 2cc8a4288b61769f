// SPDX-License-Identifier: Apache-2.0

package calleridp_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// spdx is the line with which each source file names its licence, after the comment mark of
// its language (https://spdx.dev/learn/handling-license-info).
const spdx = "SPDX-License-Identifier: Apache-2.0"

var update = flag.Bool("update", false, "add the line about the licence to source files without it")

// commentMark returns the comment mark of a source file: Go, JavaScript, Java, Python, PHP or a
// shell script. It returns "" for other files.
func commentMark(path, text string) string {
	switch filepath.Ext(path) {
	case ".go", ".js", ".mjs", ".java", ".php":
		return "// "
	case ".py", ".sh":
		return "# "
	case "":
		if strings.HasPrefix(text, "#!") {
			return "# "
		}
	}
	return ""
}

// withLicence returns a source file's text with the line in its place: first, or after a line
// that must be the first.
func withLicence(path, text string) string {
	line := commentMark(path, text) + spdx + "\n"
	if filepath.Ext(path) == ".go" {
		line += "\n" // or it would be part of the package's documentation
	}
	if first, rest, ok := strings.Cut(text, "\n"); ok && (strings.HasPrefix(first, "#!") || first == "<?php") {
		return first + "\n" + line + rest
	}
	return line + text
}

// Each source file names its licence within its first lines, so that a copy of it does, too.
// `go test . -run Licence -update` adds the line.
func TestSourcesNameTheirLicence(t *testing.T) {
	sources := 0
	filesOf(t, "", func(path, text string) {
		if commentMark(path, text) == "" || strings.Contains(path, "/testdata/") {
			return
		}
		sources++
		lines := strings.SplitN(text, "\n", 4)
		if strings.Contains(strings.Join(lines[:min(3, len(lines))], "\n"), spdx) {
			return
		}
		if !*update {
			t.Errorf("%s: its first three lines lack %q in a comment; add it with go test . -run Licence -update", path, spdx)
		} else if err := os.WriteFile(path, []byte(withLicence(path, text)), 0o644); err != nil { // keeps the file's mode
			t.Error(err)
		}
	})
	if sources < 1000 {
		t.Errorf("found %d sources, want more", sources)
	}
}
