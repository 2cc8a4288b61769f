package provider_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Parts of the library that are never used, with the reason.
var forbidden = map[string]string{
	"RegisterLegacyServer": "its LegacyServer skips PKCE when the verifier is left out",
	"LegacyServer":         "it skips PKCE when the verifier is left out",
	"NewLegacyServer":      "it skips PKCE when the verifier is left out",
	"Storage":              "one object with thirty methods, which mints a code at each visit of a URL and knows no iss",
	"NewProvider":          "it is built on op.Storage",
	"NewOpenIDProvider":    "it is built on op.Storage",
	"Authorize":            "the authorization endpoint is our own (authorize.go)",
	"NewAESCrypto":         "it opens ciphertexts that nobody authenticated",
	"AuthorizeCallback":    "whoever visits it gets a code, and again at the next visit",
}

const library = "github.com/zitadel/oidc/v3/pkg/op"

func TestForbiddenPartsOfTheLibrary(t *testing.T) {
	used := false
	for _, file := range parseDir(t, ".") {
		name := ""
		for _, spec := range file.Imports {
			if strings.Trim(spec.Path.Value, `"`) == library {
				name, used = "op", true
				if spec.Name != nil {
					t.Errorf("%s imports %s as %s; this test looks for op", file.Name, library, spec.Name)
				}
			}
		}
		if name == "" {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := selector.X.(*ast.Ident); ok && of.Name == name {
				if why, bad := forbidden[selector.Sel.Name]; bad {
					t.Errorf("op.%s is used: %s", selector.Sel.Name, why)
				}
			}
			return true
		})
	}
	if !used {
		t.Errorf("nothing imports %s: this test looks at nothing", library)
	}

	// The names must still be what this test thinks they are.
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", library).Output()
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	for _, file := range parseDir(t, strings.TrimSpace(string(dir))) {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				exists[d.Name.Name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok {
						exists[s.Name.Name] = true
					}
				}
			}
		}
	}
	for name := range forbidden {
		if !exists[name] {
			t.Errorf("op.%s does not exist any more: look what became of it", name)
		}
	}
}

func parseDir(t *testing.T, dir string) []*ast.File {
	t.Helper()
	var files []*ast.File
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatal(dir, err, fs.ErrNotExist)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
