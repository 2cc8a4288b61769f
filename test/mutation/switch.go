// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// place is the smallest piece of a file that can be written as a choice between
// itself and its mutants.
type place struct {
	kind     kind
	from, to int
	typ      string // of a literal
}

type kind int

const (
	condition kind = iota + 1
	call           // as a statement
	returned       // a return statement
	argument       // a []byte
	literal        // of a struct, or what holds one
)

// in says where the mutants that follow are.
func (p *finder) in(n ast.Node, k kind) {
	p.place = place{kind: k, from: p.offset(n.Pos()), to: p.offset(n.End())}
}

// inLiteral says that the mutants that follow are in the last literal of a path that
// names its type, with the & before it.
func (p *finder) inLiteral(path []ast.Node) {
	for i := len(path) - 1; i >= 0; i-- {
		lit, ok := path[i].(*ast.CompositeLit)
		if !ok || lit.Type == nil {
			continue
		}
		p.in(lit, literal)
		p.place.typ = p.text(lit.Type)
		if and, ok := path[i-1].(*ast.UnaryExpr); ok {
			p.in(and, literal)
			p.place.typ = "*" + p.text(lit.Type)
		}
		return
	}
	p.place = place{}
}

// chosenBy is the variable of the environment that names the mutant.
const chosenBy = "CALLERIDP_MUTANT"

// switchFile is added to the package.
const switchFile = `package %s

import (
	"os"
	"strconv"
)

var mutantChosen, _ = strconv.Atoi(os.Getenv("` + chosenBy + `"))

func mutantBytes(empty bool, b []byte) []byte {
	if empty {
		return nil
	}
	return b
}
`

// switched is a file in which mutants are alternatives.
type switched struct {
	source []byte
	all    []mutant
	number func(mutant) int // from 1
	out    bytes.Buffer
	spans  []span
}

// span says where in the new file a place is.
type span struct {
	from, to int
	place    place
}

// write appends a part of the file, in which it writes each place as a switch.
func (s *switched) write(from, to int, places []place) {
	for len(places) > 0 {
		at := places[0]
		n := 1
		for n < len(places) && places[n].from < at.to {
			n++
		}
		s.out.Write(s.source[from:at.from])
		s.choose(at, places[1:n])
		from, places = at.to, places[n:]
	}
	s.out.Write(s.source[from:to])
}

func (s *switched) choose(at place, inside []place) {
	begin := s.out.Len()
	var others []string
	is := map[int]string{}
	var numbers []int
	for _, m := range s.all {
		if m.place == at {
			n := s.number(m)
			numbers = append(numbers, n)
			is[n] = string(s.source[at.from:m.from]) + m.by + string(s.source[m.to:at.to])
			others = append(others, "mutantChosen != "+strconv.Itoa(n))
		}
	}
	original := func() { s.write(at.from, at.to, inside) }
	switch none := strings.Join(others, " && "); at.kind {
	case condition:
		s.out.WriteString("(")
		for _, n := range numbers {
			fmt.Fprintf(&s.out, "mutantChosen == %d && (%s) || ", n, is[n])
		}
		s.out.WriteString(none + " && (")
		original()
		s.out.WriteString("))")
	case call:
		s.out.WriteString("if " + none + " { ")
		original()
		s.out.WriteString(" }")
	case returned:
		s.out.WriteString("{ ")
		for _, n := range numbers {
			fmt.Fprintf(&s.out, "if mutantChosen == %d { %s }; ", n, is[n])
		}
		original()
		s.out.WriteString(" }")
	case argument:
		s.out.WriteString("mutantBytes(!(" + none + "), ")
		original()
		s.out.WriteString(")")
	case literal:
		s.out.WriteString("func() " + at.typ + " { ")
		for _, n := range numbers {
			fmt.Fprintf(&s.out, "if mutantChosen == %d { return %s }; ", n, is[n])
		}
		s.out.WriteString("return ")
		original()
		s.out.WriteString(" }()")
	}
	s.spans = append(s.spans, span{begin, s.out.Len(), at})
}

// render writes the file from its first byte to its last.
func (s *switched) render() {
	var places []place
	for _, m := range s.all {
		if !slices.Contains(places, m.place) {
			places = append(places, m.place)
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to))
	})
	s.write(0, len(s.source), places)
}

// placeOf returns the smallest place at a line and column of the new file, else the
// last one before it: a function lacks its return where it ends.
func (s *switched) placeOf(line, column int) (place, bool) {
	offset := column - 1
	for range line - 1 {
		offset += 1 + bytes.IndexByte(s.out.Bytes()[offset-column+1:], '\n')
	}
	best, before := span{to: s.out.Len() + 1}, span{}
	for _, x := range s.spans {
		if x.from <= offset && offset < x.to && x.to-x.from < best.to-best.from {
			best = x
		}
		if x.to <= offset && x.to >= before.to {
			before = x
		}
	}
	if best.place.kind == 0 {
		best = before
	}
	return best.place, best.place.kind != 0
}

// together is what tests a package's mutants from one build.
type together struct {
	member map[int]bool // which mutants
	tests  []binary
}

type binary struct {
	file, dir string
	timeout   time.Duration
}

func (t together) has(i int) bool { return t.member[i] }

// try runs the tests against a mutant until one notices it.
func (t together) try(i int) what {
	for _, b := range t.tests {
		if b.run(i+1) != nil {
			return killed
		}
	}
	return survived
}

func (b binary) run(number int) error {
	ctx, cancel := context.WithTimeout(context.Background(), b.timeout+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.file, "-test.paniconexit0", "-test.failfast", "-test.timeout", b.timeout.String())
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), chosenBy+"="+strconv.Itoa(number))
	cmd.WaitDelay = time.Second
	return cmd.Run()
}

var compileError = regexp.MustCompile(`([^/\s]+\.go):(\d+):(\d+): `)

// build builds the tests of a package, and those of others, with all its mutants
// that the compiler takes as alternatives.
func (r runner) build(folder string, chosen []mutant, sources map[string][]byte, tests []string) (together, error) {
	t := together{member: map[int]bool{}}
	numbers := map[mutant]int{}
	for i, m := range chosen {
		numbers[m] = i + 1
		if m.place.kind != 0 {
			t.member[i] = true
		}
	}
	name := func(file string) string { return filepath.Base(file) }
	for len(t.member) > 0 {
		replace := map[string]string{}
		files := map[string]*switched{}
		add := func(file string, text []byte) error {
			target, err := filepath.Abs(file)
			if err != nil {
				return err
			}
			replace[target] = filepath.Join(r.dir, name(file))
			return os.WriteFile(replace[target], text, 0o600)
		}
		for file, source := range sources {
			s := &switched{source: source, number: func(m mutant) int { return numbers[m] }}
			for i, m := range chosen {
				if t.member[i] && m.file == file {
					s.all = append(s.all, m)
				}
			}
			if len(s.all) == 0 {
				continue
			}
			s.render()
			files[name(file)] = s
			if err := add(file, s.out.Bytes()); err != nil {
				return t, err
			}
		}
		if err := add(folder+"/mutant_switch.go", fmt.Appendf(nil, switchFile, packageName(sources))); err != nil {
			return t, err
		}
		overlay := filepath.Join(r.dir, "overlay.json")
		text, err := json.Marshal(map[string]any{"Replace": replace})
		if err != nil {
			return t, err
		}
		if err := os.WriteFile(overlay, text, 0o600); err != nil {
			return t, err
		}
		t.tests = nil
		refused := false
		for n, with := range tests {
			b := binary{file: filepath.Join(r.dir, fmt.Sprintf("%d.test", n)), dir: with, timeout: 10 * r.timeout}
			out, err := exec.Command("go", "test", "-c", "-vet=off", "-gcflags=-e", "-overlay", overlay, "-o", b.file, "./"+with).CombinedOutput()
			if err == nil {
				t.tests = append(t.tests, b)
				continue
			}
			refused = true
			before := len(t.member)
			for _, at := range compileError.FindAllStringSubmatch(string(out), -1) {
				s := files[at[1]]
				line, _ := strconv.Atoi(at[2])
				column, _ := strconv.Atoi(at[3])
				if s == nil {
					continue
				}
				where, ok := s.placeOf(line, column)
				for i, m := range chosen {
					if ok && m.place == where && name(m.file) == at[1] {
						delete(t.member, i)
					}
				}
			}
			if len(t.member) == before {
				return t, fmt.Errorf("%s: the mutants do not build together:\n%s", with, out)
			}
			break
		}
		if refused {
			continue
		}
		for i := range t.tests {
			b := &t.tests[i]
			begun := time.Now()
			if err := b.run(0); err != nil {
				return t, fmt.Errorf("%s: the tests fail with the mutants as alternatives: %w", b.dir, err)
			}
			// A mutant that hangs is not waited for much longer than tests take.
			b.timeout = min(r.timeout, 10*time.Second+20*time.Since(begun))
		}
		return t, nil
	}
	return t, nil
}

// packageName returns the name in the package clause of one of the files.
func packageName(sources map[string][]byte) string {
	clause := regexp.MustCompile(`(?m)^package (\w+)`)
	for _, source := range sources {
		if found := clause.FindSubmatch(source); found != nil {
			return string(found[1])
		}
	}
	return ""
}
