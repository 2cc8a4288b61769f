// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"fmt"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// automaton is a regular expression over digits, for asking what the standard
// library's matcher does not say: how a match may go on.
type automaton struct{ start *state }

func newAutomaton(t *testing.T, pattern string) *automaton {
	t.Helper()
	re, err := syntax.Parse("^(?:"+pattern+")$", syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		t.Fatal(err)
	}
	return &automaton{follow(prog, map[string]*state{}, uint32(prog.Start))}
}

// random is a number that matches.
func (a *automaton) random(r *rand.Rand) string {
	var possible []int
	for length := range 16 {
		if a.start.lengths()&(1<<length) != 0 {
			possible = append(possible, length)
		}
	}
	return a.start.random(r, possible[r.IntN(len(possible))])
}

// state is where a match may be: a set of instructions.
type state struct {
	prog  *syntax.Prog
	known map[string]*state // all states of the automaton
	at    []uint32

	after [10]*state
	done  bool
	sizes uint32 // bit n: n more digits may complete the match
	sized bool
}

func follow(prog *syntax.Prog, known map[string]*state, from ...uint32) *state {
	var at []uint32
	var add func(pc uint32)
	seen := map[uint32]bool{}
	add = func(pc uint32) {
		if seen[pc] {
			return
		}
		seen[pc] = true
		switch in := prog.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			add(in.Out)
			add(in.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			add(in.Out)
		case syntax.InstFail:
		default:
			at = append(at, pc)
		}
	}
	for _, pc := range from {
		add(pc)
	}
	if len(at) == 0 {
		return nil
	}
	slices.Sort(at)
	key := fmt.Sprint(at)
	if known[key] == nil {
		known[key] = &state{prog: prog, known: known, at: at}
	}
	return known[key]
}

// next is the state after a digit, nil when nothing begins like that.
func (s *state) next(digit int) *state {
	if !s.done {
		s.done = true
		for d := range 10 {
			var out []uint32
			for _, pc := range s.at {
				if in := s.prog.Inst[pc]; in.Op != syntax.InstMatch && in.MatchRune(rune('0'+d)) {
					out = append(out, in.Out)
				}
			}
			s.after[d] = follow(s.prog, s.known, out...)
		}
	}
	return s.after[digit]
}

func (s *state) matched() bool {
	return slices.ContainsFunc(s.at, func(pc uint32) bool { return s.prog.Inst[pc].Op == syntax.InstMatch })
}

func (s *state) lengths() uint32 {
	if !s.sized {
		s.sized = true
		if s.matched() {
			s.sizes = 1
		}
		for d := range 10 {
			if next := s.next(d); next != nil {
				s.sizes |= next.lengths() << 1
			}
		}
	}
	return s.sizes
}

// random completes the match with so many digits; lengths must allow it.
func (s *state) random(r *rand.Rand, length int) string {
	var b strings.Builder
	for ; length > 0; length-- {
		var possible []int
		for d := range 10 {
			if next := s.next(d); next != nil && next.lengths()&(1<<(length-1)) != 0 {
				possible = append(possible, d)
			}
		}
		d := possible[r.IntN(len(possible))]
		b.WriteString(strconv.Itoa(d))
		s = s.next(d)
	}
	return b.String()
}

// spread are completions with so many digits, one for each way in which the next
// few may go.
func (s *state) spread(r *rand.Rand, length, few int) []string {
	if few == 0 || length == 0 {
		return []string{s.random(r, length)}
	}
	var all []string
	for d := range 10 {
		if next := s.next(d); next != nil && next.lengths()&(1<<(length-1)) != 0 {
			for _, rest := range next.spread(r, length-1, few-1) {
				all = append(all, strconv.Itoa(d)+rest)
			}
		}
	}
	return all
}

// folded writes prefixes as few alternatives: those that differ in one place
// become a class, and what may be anything at the end is left out.
func folded(prefixes []string) []string {
	var all [][]string // digits that may stand at each place
	for _, prefix := range prefixes {
		all = append(all, strings.Split(prefix, ""))
	}
	for again := true; again; {
		again = false
	search:
		for i := range all {
			for j := i + 1; j < len(all); j++ {
				if place := difference(all[i], all[j]); place >= 0 {
					joined := slices.Clone(all[i])
					joined[place] = union(all[i][place], all[j][place])
					all = append(slices.Delete(slices.Delete(all, j, j+1), i, i+1), joined)
					again = true
					break search
				}
			}
		}
	}
	var out []string
	for _, places := range all {
		for len(places) > 1 && len(places[len(places)-1]) == 10 {
			places = places[:len(places)-1]
		}
		var b strings.Builder
		for _, digits := range places {
			b.WriteString(class(digits))
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out
}

// difference is the one place in which a and b differ, -1 when there is not one.
func difference(a, b []string) int {
	found := -1
	if len(a) != len(b) {
		return -1
	}
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = i
	}
	return found
}

func union(a, b string) string {
	digits := []byte(a + b)
	slices.Sort(digits)
	return string(slices.Compact(digits))
}

func class(digits string) string {
	switch len(digits) {
	case 1:
		return digits
	case 10:
		return "."
	}
	var b strings.Builder
	for i := 0; i < len(digits); {
		end := i
		for end+1 < len(digits) && digits[end+1] == digits[end]+1 {
			end++
		}
		if end-i >= 2 {
			fmt.Fprintf(&b, "%c-%c", digits[i], digits[end])
		} else {
			b.WriteString(digits[i : end+1])
		}
		i = end + 1
	}
	return "[" + b.String() + "]"
}
