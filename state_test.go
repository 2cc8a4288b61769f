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
	"strings"
	"testing"
)

// stateless are folders whose state no server of a deployment has, with the reason.
var stateless = map[string]string{
	"cmd/calleridp/demo":       "an application on a laptop",
	"cmd/calleridp/dev":        "a laptop",
	"cmd/calleridp/simulate":   "a laptop",
	"cmd/calleridp/envtest":    "tests",
	"provider/internal":        "tests",
	"storage/bolt":             "the engine of one process",
	"storage/postgres/pgtest":  "tests",
	"storage/storagetest":      "tests",
	"truecaller/simulator":     "a laptop",
	"ui/gallery":               "a laptop",
	"provider/redact/leak":     "tests",
	"cmd/calleridp/selfsigned": "a file that is written once",
	"cmd/calleridp/operator":   "commands that end",
	"cmd/calleridp/command":    "commands that end",
	"cmd/calleridp/config":     "read once",
	"cmd/calleridp/country":    "a file that is read once",
}

// keepers are packages whose types make of a value state that goroutines share.
var keepers = map[string]*regexp.Regexp{
	"sync":       regexp.MustCompile(`^(Mutex|RWMutex|Map|Once|OnceFunc|OnceValue|OnceValues|Pool|Cond)$`),
	"atomic":     regexp.MustCompile(`.`),
	"prometheus": regexp.MustCompile(`(Vec|Counter|Gauge|Histogram|Summary|Registry)$`),
	"gobreaker":  regexp.MustCompile(`CircuitBreaker$`),
}

// keeps reports whether a type, or an expression that makes a value, holds such state.
func keeps(e ast.Node) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ChanType:
			found = true
		case *ast.FuncType, *ast.FuncLit: // what a function is given or does is not what it holds
			return false
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && keepers[pkg.Name] != nil && keepers[pkg.Name].MatchString(n.Sel.Name) {
				found = true
			}
		}
		return !found
	})
	return found
}

// stateOf returns what of a file holds state of the process: types, package variables,
// and functions that leave a variable to what they return.
func stateOf(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.ToSlash(filepath.Dir(path))
	var found []string
	add := func(name string) { found = append(found, dir+"."+name) }
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if fields, ok := s.Type.(*ast.StructType); ok && keeps(fields) {
						add(s.Name.Name)
					}
				case *ast.ValueSpec:
					for i, name := range s.Names {
						if s.Type != nil && keeps(s.Type) || i < len(s.Values) && keeps(s.Values[i]) {
							add(name.Name)
						}
					}
				}
			}
		case *ast.FuncDecl:
			if d.Body == nil {
				continue
			}
			ast.Inspect(d.Body, func(n ast.Node) bool {
				if v, ok := n.(*ast.ValueSpec); ok && v.Type != nil && keeps(v.Type) {
					add(d.Name.Name)
				}
				return true
			})
		}
	}
	return found
}

// TestStateOfAProcess holds DESIGN.md to list all state that one server of several has for
// itself, with why that is right: what another server does not see is what goes wrong
// when requests go to another server. It finds what goroutines share (locks, atomics,
// channels, caches made once, counters); what only one of them changes it does not find.
func TestStateOfAProcess(t *testing.T) {
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "### Store: what each server has for itself\n")
	if !ok {
		t.Fatal("DESIGN.md has no section about what each server has for itself")
	}
	section, _, _ = strings.Cut(section, "\n### ")
	var listed []string
	for _, m := range regexp.MustCompile("`([a-z/]+\\.[A-Za-z]+)`").FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	var found []string
	for _, top := range []string{"cmd", "keys", "provider", "storage", "truecaller", "ui"} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if _, ok := stateless[filepath.ToSlash(path)]; ok && d.IsDir() {
				return fs.SkipDir
			}
			if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				found = append(found, stateOf(t, path)...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range found {
		if !slices.Contains(listed, name) {
			t.Errorf("%s is state that another server does not see: put it into the store; or list it in DESIGN.md, \"what each server has for itself\", with why it may be each server's", name)
		}
	}
	for _, name := range listed {
		if !slices.Contains(found, name) {
			t.Errorf("DESIGN.md lists %s among what each server has for itself, which is no such state", name)
		}
	}
	for dir := range stateless {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s, which is left out, does not exist", dir)
		}
	}
}
