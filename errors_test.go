// SPDX-License-Identifier: Apache-2.0

package calleridp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// An error that begins with the name of one of our packages or folders is made in that
// package, so that its text leads to the code.
func TestErrorsNameTheirOwnPackage(t *testing.T) {
	parsed, names := map[string]*ast.File{}, map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), s.path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed[s.path], names[file.Name.Name] = file, true
		for folder := range strings.SplitSeq(s.dir, "/") {
			names[folder] = true
		}
	}
	named := regexp.MustCompile(`^([a-z]+): `)
	found := 0
	for path, file := range parsed {
		ast.Inspect(file, func(n ast.Node) bool {
			m := named.FindStringSubmatch(errorText(n))
			if m == nil || !names[m[1]] {
				return true
			}
			found++
			if m[1] != file.Name.Name {
				t.Errorf("%s: an error of package %s begins with %q", path, file.Name.Name, m[0])
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("got %d errors with the name of a package, want more", found)
	}
}

// errorText returns the text of a call of errors.New or fmt.Errorf, "" for another node.
func errorText(n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return ""
	}
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || function.Sel.Name != "New" && function.Sel.Name != "Errorf" {
		return ""
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, _ := strconv.Unquote(literal.Value)
	return text
}
