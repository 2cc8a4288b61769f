// SPDX-License-Identifier: Apache-2.0

package calleridp_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/pages.md names every page that an operator may replace.
func TestPagesNamesEveryTemplate(t *testing.T) {
	text, err := os.ReadFile("docs/pages.md")
	if err != nil {
		t.Fatal(err)
	}
	templates, err := filepath.Glob("ui/templates/*.html")
	if err != nil || len(templates) == 0 {
		t.Fatal("no templates", err)
	}
	for _, file := range templates {
		name := strings.TrimSuffix(filepath.Base(file), ".html")
		if !regexp.MustCompile(`\b` + name + `\b`).Match(text) {
			t.Errorf("docs/pages.md lacks the template %s", name)
		}
	}
}

// Every file that a document links to is there, and every heading.
func TestDocumentsLinkToFilesThatExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):#]*)(?:#([^):]*))?\)`)
	links := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/operators/*.md", "docs/recipes/*.md", "examples/*/*.md"} {
		documents, err := filepath.Glob(pattern)
		if err != nil || len(documents) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range documents {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllSubmatch(text, -1) {
				links++
				to := file
				if len(m[1]) > 0 {
					to = filepath.Join(filepath.Dir(file), string(m[1]))
				}
				if _, err := os.Stat(to); err != nil {
					t.Errorf("%s links to %s: %v", file, m[1], err)
				} else if len(m[2]) > 0 && !slices.Contains(headings(t, to), string(m[2])) {
					t.Errorf("%s links to %s#%s, which has no such heading", file, m[1], m[2])
				}
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links", links)
	}
}

// headings are those of a document, as links name them.
func headings(t *testing.T, file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	dropped := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return names
}

// Every test that a document names is there, so that a table which says how a
// promise is kept cannot rot. A name may end in *.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, "_test.go") {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range declaration.FindAllSubmatch(text, -1) {
				declared[string(m[1])] = true
			}
		}
		return nil
	})
	if err != nil || len(declared) < 100 {
		t.Fatalf("%d tests, %v", len(declared), err)
	}
	documents, err := filepath.Glob("docs/*.md")
	more, errMore := filepath.Glob("docs/operators/*.md")
	if err := errors.Join(err, errMore); err != nil {
		t.Fatal(err)
	}
	documents = append(documents, more...)
	mention := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*\\*?)`")
	mentions := 0
	for _, file := range documents {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mention.FindAllSubmatch(text, -1) {
			mentions++
			name := string(m[1])
			if start, some := strings.CutSuffix(name, "*"); some {
				found := false
				for have := range declared {
					found = found || strings.HasPrefix(have, start)
				}
				if !found {
					t.Errorf("%s names %s, and no test is called so", file, name)
				}
			} else if !declared[name] {
				t.Errorf("%s names %s, which is not there", file, name)
			}
		}
	}
	if mentions < 50 {
		t.Errorf("only %d tests are named", mentions)
	}
}

// A path in backquotes, with a file name at its end.
var filePath = regexp.MustCompile("`([a-z0-9_]+/[a-zA-Z0-9_./]*\\.(?:go|js|mjs|md|html|txt))`")

// Every file that DESIGN.md and HACKING.md name is there.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	for _, document := range []string{"DESIGN.md", "HACKING.md"} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		paths := filePath.FindAllSubmatch(text, -1)
		if len(paths) < 10 {
			t.Errorf("%s: got %d paths, want more", document, len(paths))
		}
		for _, m := range paths {
			if _, err := os.Stat(string(m[1])); err != nil {
				t.Errorf("%s names %s: %v", document, m[1], err)
			}
		}
	}
}

// Every example is run by a test, and has a line in the documentation.
func TestExamplesAreTested(t *testing.T) {
	examples, err := filepath.Glob("examples/*")
	if err != nil || len(examples) == 0 {
		t.Fatal(examples, err)
	}
	documentation, err := os.ReadFile("docs/applications.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range examples {
		name := filepath.Base(example)
		if name == "buttons" { // no application: see TestButtons
			continue
		}
		test, err := os.ReadFile("test/interop/example-" + name + ".test.mjs")
		if err != nil || !strings.Contains(string(test), "exampleWorks('"+name+"')") {
			t.Errorf("%s: no test starts it: %v", example, err)
		}
		if !strings.Contains(string(documentation), "](../"+example+"/README.md)") {
			t.Errorf("%s: docs/applications.md does not link to its README.md", example)
		}
	}
}

// Each recipe answers the same questions, so that no developer finds the missing one out.
func TestRecipesSayWhatMatters(t *testing.T) {
	files, err := filepath.Glob("docs/recipes/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	recipes := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range strings.Split(string(text), "\n## ")[1:] {
			name, body, _ := strings.Cut(section, "\n")
			if name == "What we ran" {
				continue
			}
			recipes++
			for _, line := range []string{"PKCE", "Scopes", "Redirect URI", "Signing out", "Trap"} {
				if !strings.Contains(body, "\n- **"+line+":** ") {
					t.Errorf("%s: %s: no line about %s", file, name, line)
				}
			}
		}
		if !strings.Contains(string(text), "\n## What we ran\n") {
			t.Errorf("%s does not say which recipes were run", file)
		}
	}
	if recipes < 15 {
		t.Errorf("got %d recipes, want more", recipes)
	}
}

// A walk through the code is short, and lists each file once.
func TestWalksAreShort(t *testing.T) {
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	_, walks, _ := strings.Cut(string(text), "### Walks\n")
	walks, _, _ = strings.Cut(walks, "\n### ")
	found := regexp.MustCompile(`(?m)^(A.*):\n\n((?:(?:\d+\.|  ) .*\n)+)`).FindAllStringSubmatch(walks, -1)
	if len(found) != 4 {
		t.Fatalf("got %d walks, want those of an authorization request, a token request, a callback and a phone number", len(found))
	}
	for _, walk := range found {
		t.Run(walk[1], func(t *testing.T) {
			met := map[string]bool{}
			steps := 0
			for _, step := range regexp.MustCompile(`(?m)^\d+\. (.*)$`).FindAllStringSubmatch(walk[2], -1) {
				steps++
				file := filePath.FindStringSubmatch(step[1])
				if file == nil {
					t.Fatalf("%q names no file", step[1])
				}
				if met[file[1]] {
					t.Errorf("%s is met twice", file[1])
				}
				met[file[1]] = true
			}
			if steps > 10 {
				t.Errorf("got %d files, want at most 10", steps)
			}
		})
	}
}
