// SPDX-License-Identifier: Apache-2.0

package calleridp_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/claims"
	"calleridp/provider/idtoken"
)

// rows returns the first cells of a document's tables, without the headings.
func rows(t *testing.T, file, section string) (cells []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), section)
	if !ok {
		t.Fatalf("%s has no section %q", file, section)
	}
	if section != "" {
		rest, _, _ = strings.Cut(rest, "\n## ")
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(rest, -1) {
		cells = append(cells, m[1])
	}
	return cells
}

// same reports what one list has and the other has not.
func same(t *testing.T, file string, got, want []string) {
	t.Helper()
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s lacks %s", file, name)
		}
	}
	for i, name := range got {
		if !slices.Contains(want, name) {
			t.Errorf("%s has %s, which the program has not", file, name)
		}
		if slices.Contains(got[:i], name) {
			t.Errorf("%s has %s twice", file, name)
		}
	}
	if len(want) < 10 {
		t.Errorf("found %d for %s, want all", len(want), file)
	}
}

// docs/claims.md has every claim.
func TestDocumentHasEveryClaim(t *testing.T) {
	const file = "docs/claims.md"
	same(t, file, rows(t, file, ""), slices.Concat(idtoken.ClaimNames, idtoken.FrontClaimNames, claims.Names))
	for _, scope := range []string{claims.Profile, claims.Email, claims.Phone, claims.Address, claims.Truecaller} {
		for _, name := range rows(t, file, "\n## "+scope+"\n") {
			if got := claims.ScopeOf(name); got != scope {
				t.Errorf("%s lists %s under %s, but it is of the scope %q", file, name, scope, got)
			}
		}
	}
}

// The errors of the library that do not have the name of their code.
var renamed = map[string]string{"ExpiredDeviceCode": "expired_token"}

// codes returns the OAuth error codes in the source of the provider.
func codes(t *testing.T) (found []string) {
	t.Helper()
	constructor := regexp.MustCompile(`(?:\boidc\.Err|ErrorType: oidc\.)([A-Z]\w+)(?:\(\)|\})`)
	literal := regexp.MustCompile(`(?:ErrorType: +|\.ErrorType = |temporarilyUnavailable = )"([a-z_]+)"`)
	other := regexp.MustCompile(`ErrorType(?:: +| = )[^"= ]\S*`)
	upper := regexp.MustCompile(`[A-Z]`)
	err := filepath.WalkDir("provider", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range constructor.FindAllSubmatch(text, -1) {
			code, ok := renamed[string(m[1])]
			if !ok {
				code = strings.TrimPrefix(upper.ReplaceAllStringFunc(string(m[1]), func(s string) string { return "_" + strings.ToLower(s) }), "_")
			}
			found = append(found, code)
		}
		for _, m := range literal.FindAllSubmatch(text, -1) {
			found = append(found, string(m[1]))
		}
		for _, m := range other.FindAllString(string(text), -1) {
			if !strings.Contains(m, "temporarilyUnavailable") && !strings.Contains(m, "oidc.") {
				t.Errorf("%s: %s: write the code as text, so that docs/errors.md can be held to it", path, m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// docs/errors.md has every error code, and every kind of error page with its status.
func TestDocumentHasEveryError(t *testing.T) {
	const file = "docs/errors.md"
	same(t, file, rows(t, file, "\n## Codes\n"), codes(t))
	source, err := os.ReadFile("provider/endpoint/views.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, m := range regexp.MustCompile(`Error\w+ +ErrorKind = "([a-z_]+)" +// (\d+)`).FindAllSubmatch(source, -1) {
		kinds = append(kinds, string(m[1]))
		if row := "| `" + string(m[1]) + "` | " + string(m[2]) + " |"; !strings.Contains(string(text), row) {
			t.Errorf("%s has no row %q", file, row)
		}
	}
	same(t, file, rows(t, file, "\n## Pages\n"), kinds)
}
