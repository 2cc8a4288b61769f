package calleridp_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every file that a document links to is there, and every heading.
func TestDocumentsLinkToFilesThatExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):#]*)(?:#([^):]*))?\)`)
	links := 0
	for _, pattern := range []string{"*.md", "docs/*.md"} {
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
	if err != nil {
		t.Fatal(err)
	}
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
