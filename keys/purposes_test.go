// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Two uses of the master key under one purpose would accept each other's values.
// The test reads the list from the source, so it sees every purpose.
func TestPurposesAreApart(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "purposes.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	style := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	names := map[string]string{}
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			c := spec.(*ast.ValueSpec)
			name := c.Names[0].Name
			value, err := strconv.Unquote(c.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if other, taken := names[value]; taken {
				t.Errorf("%s and %s are both %q", name, other, value)
			}
			names[value] = name
			if want := "Purpose" + strings.ReplaceAll(value, "-", ""); !style.MatchString(value) || !strings.EqualFold(name, want) {
				t.Errorf("got %s = %q, want the words of its name in lower case with hyphens", name, value)
			}
			if !strings.HasPrefix(c.Doc.Text(), name+" ") {
				t.Errorf("%s: got the comment %q, want one that begins with its name", name, c.Doc.Text())
			}
		}
	}
	if len(names) == 0 {
		t.Error("got no purposes, want those of purposes.go")
	}
}
