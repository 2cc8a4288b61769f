// SPDX-License-Identifier: Apache-2.0

package page

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"calleridp/provider/claims"
	"calleridp/provider/endpoint"
)

// constants returns the values of all constants of a type in a file of Go.
func constants(t *testing.T, file, typeName string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typeName {
			for _, v := range spec.Values {
				s, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, s)
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s has no constants of type %s", file, typeName)
	}
	slices.Sort(found)
	return found
}

func TestEveryProblemAndErrorHasATextAndAStatus(t *testing.T) {
	kinds := constants(t, "../../provider/endpoint/views.go", "ErrorKind")
	ends := []string{"expired", "failed", "onetap_declined", "onetap_expired", "several_only"}
	for _, o := range outcomes {
		ends = append(ends, o)
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	wantCases(t, map[string][]string{
		"problem.*":       constants(t, "../../provider/authorize/views.go", "ProblemKind"),
		"error.*.title":   kinds,
		"error.*.text":    kinds,
		"outcome.*.title": ends,
		"outcome.*.text":  ends,
	})
	for _, kind := range kinds {
		if Status(endpoint.ErrorKind(kind)) == 0 {
			t.Errorf("%s: got no status", kind)
		}
	}
}

func TestEveryDeedAndStepHasATextInEveryLanguage(t *testing.T) {
	steps := constants(t, "../../provider/account/views.go", "AccountStep")
	wantCases(t, map[string][]string{
		"account.did.*":         constants(t, "../../provider/account/views.go", "AccountDeed"),
		"account.step.*.title":  steps,
		"account.step.*.text":   steps,
		"account.step.*.submit": {"delete", "download"},
	})
}

func TestEveryScopeIsExplained(t *testing.T) {
	wantCases(t, map[string][]string{"consent.scope.*": slices.Sorted(slices.Values(claims.Scopes))})
}

// wantCases fails the test unless every language has a text for each case of a pattern,
// and for no other.
func wantCases(t *testing.T, cases map[string][]string) {
	t.Helper()
	for _, l := range newPages(t).cfg.Languages.All() {
		for pattern, want := range cases {
			if got := l.Cases(pattern); !slices.Equal(got, want) {
				t.Errorf("%s, %s: got %v, want %v", l.Tag, pattern, got, want)
			}
		}
	}
}
