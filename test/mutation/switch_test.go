// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
	"testing"
)

const complete = program + `
type T struct{ A, B int }

func g() {}

func use(t T, b []byte) int {
	p := &T{A: t.A}
	all := []T{
		{A: 1}, {B: len(b)},
	}
	return p.A + all[0].B
}
`

// All mutants of a file are one Go program, in which each has its place, and which is
// the original where none is chosen.
func TestSwitch(t *testing.T) {
	all, err := mutants("p.go", []byte(complete))
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[mutant]int{}
	for i, m := range all {
		if m.place.kind == 0 {
			t.Errorf("%s: it has no place", m)
		}
		numbers[m] = i + 1
	}
	s := &switched{source: []byte(complete), all: all, number: func(m mutant) int { return numbers[m] }}
	s.render()
	after := s.out.String()
	files := token.NewFileSet()
	var parsed []*ast.File
	for name, text := range map[string]string{"p.go": after, "switch.go": fmt.Sprintf(switchFile, "p")} {
		file, err := parser.ParseFile(files, name, text, 0)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		parsed = append(parsed, file)
	}
	config := types.Config{Importer: importer.ForCompiler(files, "source", nil)}
	if _, err := config.Check("p", files, parsed, nil); err != nil {
		t.Fatalf("%v in\n%s", err, after)
	}
	for i, m := range all {
		chosen, others := fmt.Sprintf("mutantChosen == %d ", i+1), fmt.Sprintf("mutantChosen != %d", i+1)
		if !strings.Contains(after, chosen) && !strings.Contains(after, others) {
			t.Errorf("%s: nothing chooses it in\n%s", m, after)
		}
	}
}

// An error of the compiler names the place that it is in.
func TestPlaceOf(t *testing.T) {
	all, err := mutants("p.go", []byte(complete))
	if err != nil {
		t.Fatal(err)
	}
	s := &switched{source: []byte(complete), all: all, number: func(mutant) int { return 1 }}
	s.render()
	for i, line := range strings.Split(s.out.String(), "\n") {
		at := strings.Index(line, "errors.New")
		if at < 0 {
			continue
		}
		where, ok := s.placeOf(i+1, at+1)
		if text := complete[where.from:where.to]; !ok || text != `return 0, errors.New("x")` {
			t.Errorf("got %q, %v, want the return statement", text, ok)
		}
	}
	// The end of the last function is in no place.
	last := strings.Count(s.out.String(), "\n")
	if where, ok := s.placeOf(last, 1); !ok || !strings.HasPrefix(complete[where.from:where.to], "[]T{") {
		t.Errorf("the last brace: got %+v, %v, want the last place before it", where, ok)
	}
	if where, ok := s.placeOf(1, 1); ok {
		t.Errorf("the package clause: got %v, want no place", where)
	}
}
