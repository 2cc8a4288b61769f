package calleridp_test

import (
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
)

const module = "calleridp/"

// layers are the top folders, with those of ours that each may import beside
// itself, and the reason.
var layers = map[string]struct {
	may []string
	why string
}{
	"cmd":        {[]string{"ui", "storage", "provider", "truecaller", "keys"}, "cmd builds everything"},
	"ui":         {[]string{"provider"}, "pages show what the provider decides; they know no store and no Truecaller"},
	"storage":    {[]string{"provider", "truecaller", "keys"}, "engines implement the stores that the others declare"},
	"provider":   {[]string{"truecaller", "keys"}, "the provider declares the stores and pages that it needs, and knows neither engine nor template"},
	"truecaller": {nil, "speaks Truecaller and knows nothing of OpenID Connect"},
	"keys":       {nil, "owns secrets, and needs nothing of ours"},
	"test":       {nil, "tests of the built program use it from outside"},
}

// only are third parties, and folders of ours, with the places that may import
// them; the first is their home.
var only = map[string]struct {
	by  []string
	why string
}{
	"github.com/zitadel/oidc/v3/pkg/op":    {[]string{"provider"}, "no type of the library leaves the package that speaks the protocol"},
	"go.etcd.io/bbolt":                     {[]string{"storage/bolt", "test/load"}, "an engine is one folder, and storage/record is for all of them; the load test measures the floor below it"},
	"github.com/nyaruka/phonenumbers":      {[]string{"truecaller/phone"}, "a phone number is one type, which masks itself"},
	"calleridp/truecaller/simulator":       {[]string{"cmd/calleridp", "test/load"}, "the simulator is reached over HTTP alone, so that the production path is the same code"},
	"github.com/sony/gobreaker":            {[]string{"truecaller"}, "only what speaks to Truecaller knows how it fails"},
	"github.com/prometheus/client_golang":  {[]string{"cmd/calleridp/metrics"}, "packages report to small observers of their own; how it is shown is one folder"},
	"github.com/oschwald/maxminddb-golang": {[]string{"cmd/calleridp"}, "packages are told a country, and know no database"},
	"github.com/goccy/go-yaml":             {[]string{"cmd/calleridp"}, "packages take plain structs; only cmd reads configuration"},
}

// TestImportRule holds the direction of imports, by reading the files.
func TestImportRule(t *testing.T) {
	seen, users := map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || len(d.Name()) > 1 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || filepath.Dir(path) == "." {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		top, _, _ := strings.Cut(dir, "/")
		layer, known := layers[top]
		if !known {
			t.Errorf("%s: the folder %s has no place in the layout", path, top)
			return nil
		}
		seen[top] = true
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			isTest := strings.HasSuffix(path, "_test.go")
			excepted := false
			for name, rule := range only {
				if imported != name && !strings.HasPrefix(imported, name+"/") {
					continue
				}
				inside := module+dir == name || slices.Contains(rule.by, dir)
				if inside {
					excepted = true
					users[name] = users[name] || dir == rule.by[0]
				} else if !isTest || !strings.HasPrefix(name, module) {
					t.Errorf("%s imports %s, which only %s may: %s", path, imported, strings.Join(rule.by, " and "), rule.why)
				}
			}
			ours, ok := strings.CutPrefix(imported, module)
			if !ok || isTest || excepted { // a test may set up whatever it tests with
				continue
			}
			if to, _, _ := strings.Cut(ours, "/"); to != top && !slices.Contains(layer.may, to) {
				t.Errorf("%s imports %s, but %s may import only %v of ours: %s", path, imported, top, append([]string{top}, layer.may...), layer.why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// A rule about something that does not exist protects nothing.
	for top, layer := range layers {
		if !seen[top] {
			t.Errorf("there is no Go file in %s: the rule is out of date", top)
		}
		for _, to := range layer.may {
			if _, ok := layers[to]; !ok {
				t.Errorf("%s may import %s, which is no layer", top, to)
			}
		}
	}
	for name, rule := range only {
		for _, by := range rule.by {
			if _, err := os.Stat(by); err != nil {
				t.Errorf("%s may be imported by %s, which does not exist", name, by)
			}
		}
		if !users[name] {
			t.Errorf("%s does not import %s: the rule is out of date", rule.by[0], name)
		}
	}
}

// Packages take structs; only cmd may read the environment.
func TestNobodyReadsTheEnvironment(t *testing.T) {
	for top := range layers {
		if top == "cmd" || top == "test" {
			continue
		}
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, call := range []string{"os.Getenv(", "os.LookupEnv(", "os.Environ("} {
				if strings.Contains(string(text), call) {
					t.Errorf("%s calls %s): give it a field in its configuration", path, call)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A purpose that is not in keys/purposes.go could be the same as another one.
func TestPurposesAreListedInOnePlace(t *testing.T) {
	declared := regexp.MustCompile(`keys\.Purpose\s*=|keys\.Purpose\(`)
	for top := range layers {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if declared.Match(text) {
				t.Errorf("%s declares a key purpose: add it to keys/purposes.go", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
