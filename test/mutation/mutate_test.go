// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

const program = `package p

import "errors"

func f(a, b int) (int, error) {
	if a < b && b != 0 {
		g()
	}
	switch {
	case a == 3:
		return 0, errors.New("x")
	}
	h := func() error { return nil }
	return use(T{A: a, B: b}, []byte("x")), h()
}
`

// Every rule makes its mutants, each of them is another Go program, and nothing
// but its own place is changed.
func TestMutants(t *testing.T) {
	all, err := mutants("p.go", []byte(program))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all {
		after := string(m.apply([]byte(program)))
		if _, err := parser.ParseFile(token.NewFileSet(), "p.go", after, 0); err != nil || after == program {
			t.Errorf("%s: %v", m, err)
		}
		if a, b := strings.Count(program, "\n"), strings.Count(after, "\n"); a != b {
			t.Errorf("%s: %d lines became %d", m, a, b)
		}
		got = append(got, m.rule+": "+m.is)
	}
	slices.Sort(got)
	want := []string{
		`case that never holds: case false && (a == 3):`,
		`comparison: case a != 3:`,
		`comparison: if a < b && b == 0 {`,
		`comparison: if a <= b && b != 0 {`,
		`condition that always holds: if true || (a < b && b != 0) {`,
		`condition that never holds: if false && (a < b && b != 0) {`,
		`dropped call: {}`,
		`emptied argument: return use(T{A: a, B: b}, []byte(nil)), h()`,
		`forgotten field: return use(T{A: a, }, []byte("x")), h()`,
		`forgotten field: return use(T{B: b}, []byte("x")), h()`,
		`left half alone: if a < b {`,
		`lost error: return 0, nil`,
		`lost error: return use(T{A: a, B: b}, []byte("x")), nil`,
		`right half alone: if b != 0 {`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What a run prints of mutants names them for the next run.
func TestPrinted(t *testing.T) {
	all, err := mutants("p.go", []byte(program))
	if err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	want := map[string]bool{}
	for _, m := range all[:5] {
		output.WriteString(m.String() + "\n")
		want[m.key()] = true
	}
	output.WriteString("p: 1 noticed, 0 known to survive, 5 SURVIVED\n")
	if got := printed(output.String()); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Each line of known.txt names a mutant that exists, so that the list cannot hide
// what it is not about.
func TestKnownMutantsExist(t *testing.T) {
	t.Chdir("../..")
	all, err := readKnown()
	if err != nil {
		t.Fatal(err)
	}
	exist := map[string]map[string]bool{} // by file
	for key := range all {
		file, _, _ := strings.Cut(key, " | ")
		if exist[file] == nil {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			of, err := mutants(file, source)
			if err != nil {
				t.Fatal(err)
			}
			exist[file] = map[string]bool{}
			for _, m := range of {
				exist[file][m.key()] = true
			}
		}
		if !exist[file][key] {
			t.Errorf("known.txt: no such mutant: %s", key)
		}
	}
}
