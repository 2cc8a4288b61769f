// SPDX-License-Identifier: Apache-2.0

package calleridp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// longestLine is the length of a line of prose, or of a comment, in characters. A tab counts
// as four.
const longestLine = 100

// bannedWords are the words that the house style of HACKING.md bans, with their replacement.
// A word is listed only after it was removed from all documents and programs.
var bannedWords = map[string]string{
	"nobody":     "name the actor: no user, no client, no other browser",
	"somebody":   "name the actor: a user, another client, an attacker",
	"whoever":    "name the actor: the user who, an attacker who",
	"anybody":    "name the actor: an attacker, any user",
	"everybody":  "name the actor: all users, every browser",
	"for ever":   "forever, permanently, without an expiry",
	"anew":       "again",
	"in peace":   "say what does not happen",
	"so to say":  "leave it out",
	"hereby":     "leave it out",
	"herewith":   "leave it out",
	"thereof":    "of it",
	"whatsoever": "leave it out",
}

// unchecked are files, and beginnings of paths, whose words the style does not cover yet, or
// that are generated from such files.
var unchecked = []string{
	"docs/operators/", // with docs/configuration.md, the last pages to be rewritten
	"docs/pages.md",
	"docs/configuration.md",
	"cmd/calleridp/config/",
	"provider/admin/",
	"provider/audit/",
	"provider/console/",
	"storage/backup/",
}

var banned = func() *regexp.Regexp {
	var words []string
	for word := range bannedWords {
		words = append(words, strings.ReplaceAll(word, " ", `\s+`))
	}
	slices.Sort(words)
	return regexp.MustCompile(`(?i)\b(` + strings.Join(words, "|") + `)\b`)
}()

// findings returns what the style has against a text of a file: its words, by line.
func findings(text string) (found []string) {
	for _, at := range banned.FindAllStringIndex(text, -1) {
		word := strings.Join(strings.Fields(strings.ToLower(text[at[0]:at[1]])), " ")
		line := 1 + strings.Count(text[:at[0]], "\n")
		found = append(found, "line "+strconv.Itoa(line)+": "+strconv.Quote(word)+": "+bannedWords[word])
	}
	return found
}

// tooLong reports whether a line is longer than the style allows. A line without a space
// after its indentation cannot be broken.
func tooLong(line string) bool {
	line = strings.ReplaceAll(strings.TrimRight(line, "\r"), "\t", "    ")
	return utf8.RuneCountInString(line) > longestLine && strings.Contains(strings.TrimSpace(line), " ")
}

func isUnchecked(path string) bool {
	return slices.ContainsFunc(unchecked, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// filesOf calls visit for each file of ours whose name has the ending, with its contents.
func filesOf(t *testing.T, ending string, visit func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "vendor" || strings.HasPrefix(d.Name(), ".") && path != "." && d.Name() != ".github") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ending) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(path), string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// proseOf returns a document with blank lines in place of code blocks, and with blank code
// spans and link targets: what is left is prose, line by line.
func proseOf(text string) string {
	lines, fence := strings.Split(text, "\n"), false
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			fence = !fence
			lines[i] = ""
		case fence, strings.HasPrefix(line, "    ") && (i == 0 || lines[i-1] == ""):
			lines[i] = ""
		}
	}
	text = strings.Join(lines, "\n")
	return regexp.MustCompile("`[^`\n]*`|\\]\\([^)\n]*\\)").ReplaceAllString(text, "")
}

// Documents follow what a machine can check of the house style (HACKING.md).
func TestDocumentsFollowTheStyle(t *testing.T) {
	documents := 0
	filesOf(t, ".md", func(path, text string) {
		if isUnchecked(path) {
			return
		}
		documents++
		for _, found := range findings(proseOf(text)) {
			t.Errorf("%s: %s", path, found)
		}
		fence := false
		for i, line := range strings.Split(text, "\n") {
			trimmed := strings.TrimSpace(line)
			if strings.HasPrefix(trimmed, "```") {
				fence = !fence
			}
			code := fence || strings.HasPrefix(line, "    ")
			if !code && !strings.HasPrefix(trimmed, "|") && !strings.HasPrefix(trimmed, "![") && tooLong(line) {
				t.Errorf("%s: line %d has more than %d characters", path, i+1, longestLine)
			}
		}
	})
	if documents < 20 {
		t.Errorf("checked %d documents, want more", documents)
	}
}

// Comments and messages of programs do, too. Tests and their data are left out.
func TestProgramsFollowTheStyle(t *testing.T) {
	files := 0
	filesOf(t, ".go", func(path, text string) {
		if strings.HasSuffix(path, "_test.go") || isUnchecked(path) {
			return
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Comments {
			for _, comment := range group.List {
				for _, found := range findings(comment.Text) {
					t.Errorf("%s: in the comment at line %d, %s", path, set.Position(comment.Pos()).Line, found)
				}
				first := set.Position(comment.Pos())
				for i, line := range strings.Split(comment.Text, "\n") {
					if first.Column == 1+len(indentOf(text, first)) || i > 0 { // alone on its line
						if tooLong(indentOf(text, first)+line) && !strings.Contains(line, "://") {
							t.Errorf("%s: the comment at line %d has more than %d characters", path, first.Line+i, longestLine)
						}
					}
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && strings.Contains(literal.Value, " ") {
				for _, found := range findings(literal.Value) {
					t.Errorf("%s: in the text at line %d, %s", path, set.Position(literal.Pos()).Line, found)
				}
			}
			return true
		})
	})
	if files < 300 {
		t.Errorf("checked %d files, want more", files)
	}
}

// indentOf returns the white space at the beginning of a position's line.
func indentOf(text string, at token.Position) string {
	start := strings.LastIndexByte(text[:at.Offset], '\n') + 1
	return text[start : start+len(text[start:])-len(strings.TrimLeft(text[start:], " \t"))]
}

// The checks find a banned word across a line break, and leave code alone.
func TestStyleIsFound(t *testing.T) {
	planted := "The server asks nobody,\nand keeps it for\never. `nobody` is code."
	if found := findings(proseOf(planted)); len(found) != 2 {
		t.Errorf("got %q, want two findings in %q", found, planted)
	}
	if !tooLong(strings.Repeat("a ", 51)) || tooLong(strings.Repeat("ü", 100)) || tooLong(strings.Repeat("a", 200)) {
		t.Error("the length of a line is not counted in characters")
	}
}
