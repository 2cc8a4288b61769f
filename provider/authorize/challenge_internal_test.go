// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/splice"
	"calleridp/provider/login"
)

// solve finds a solution as a browser does.
func solve(seed string, zeros int) string {
	for n := 0; ; n++ {
		if solves(seed, zeros, strconv.Itoa(n)) {
			return strconv.Itoa(n)
		}
	}
}

// zeroBits counts the leading zero bits in another way than solves.
func zeroBits(text string) int {
	var bits strings.Builder
	for _, b := range sha256.Sum256([]byte(text)) {
		bits.WriteString(fmt.Sprintf("%08b", b))
	}
	return strings.Index(bits.String()+"1", "1")
}

func TestSolves(t *testing.T) {
	for n := range 20_000 { // one in 256 has eight zeros
		solution := strconv.Itoa(n)
		zeros := zeroBits("seed" + solution)
		for bits := MinChallengeBits; bits <= MaxChallengeBits; bits++ {
			if got := solves("seed", bits, solution); got != (zeros >= bits) {
				t.Fatalf("%q with %d zero bits of %d: got solved %v, want %v",
					solution, zeros, bits, got, zeros >= bits)
			}
		}
	}
	good := solve("seed", MinChallengeBits)
	for what, got := range map[string]bool{
		"no zeros required":   solves("seed", 0, good),
		"too few required":    solves("seed", MinChallengeBits-1, good),
		"more than the bound": solves("seed", 65, good),
		"nothing":             solves("", MinChallengeBits, ""),
	} {
		if got {
			t.Errorf("%s: got solved true, want false", what)
		}
	}
}

// A solution is accepted if, and only if, it has the zero bits and its challenge is,
// unchanged, one that was sealed here for this network and has not expired.
func FuzzSolution(f *testing.F) {
	master, err := keys.NewMaster(make([]byte, keys.MasterSize))
	if err != nil {
		f.Fatal(err)
	}
	cs := challenges{master: master, mode: ChallengeAlways}
	now := time.Now()
	made := sealedChallenge{
		Seed:    "0123456789abcdefghijkl",
		Bits:    MinChallengeBits,
		Network: "192.0.2.7/32",
		Until:   now.Add(time.Hour).Unix(),
	}
	sealed, err := endpoint.Seal(master, keys.PurposeChallenge, made)
	if err != nil {
		f.Fatal(err)
	}
	other, err := endpoint.Seal(master, keys.PurposeAuthorizationRequest, made)
	if err != nil {
		f.Fatal(err)
	}
	good := solve(made.Seed, made.Bits)
	add := func(piece string, at, out uint8) { f.Add(piece, at, out, good, made.Network, int64(0)) }
	for _, seed := range []string{"", "A", "\r\n", "="} {
		add(seed, 0, 0)
		add(seed, 255, 0)
		add(seed, 255, 1)
	}
	for _, solution := range []string{
		"",
		"0",
		"0" + good,
		"+" + good,
		good + " ",
		"٣",
		"-1",
		"1e3",
		strings.Repeat("0", 17),
		strings.Repeat("0", 1000) + good,
	} {
		f.Add("", uint8(0), uint8(0), solution, made.Network, int64(0))
	}
	f.Add("", uint8(0), uint8(0), good, "192.0.2.8/32", int64(0))
	f.Add("", uint8(0), uint8(0), good, made.Network, int64(3600))
	f.Fuzz(func(t *testing.T, piece string, at, out uint8, solution, network string, later int64) {
		text := splice.At(sealed, piece, at, out)
		when := now.Add(time.Duration(later%100_000) * time.Second)
		digits := strings.Trim(solution, "0123456789") == "" && solution != "" && len(solution) <= 16
		want := text == sealed && network == made.Network && digits && zeroBits(made.Seed+solution) >= made.Bits &&
			when.Unix() < made.Until
		got, err := cs.solved(Submission{Challenge: text, Solution: solution, Network: network}, when)
		if (err == nil) != want {
			t.Errorf("%q %q from %q after %d s: got %v, want solved %v", text, solution, network, later, err, want)
		}
		if err == nil && (got.ID != made.Seed || got.Until.Unix() != made.Until) ||
			err != nil && (got != login.Solved{} || !errors.Is(err, errUnsolved)) {
			t.Errorf("got %+v, %v, want the challenge %+v or %v", got, err, made, errUnsolved)
		}
		ofOther := Submission{Challenge: splice.At(other, piece, at, out), Solution: good, Network: made.Network}
		if _, err := cs.solved(ofOther, now); err == nil {
			t.Error("a text that was sealed for another purpose: got no error, want one")
		}
	})
}

// A difficulty out of bounds and an unknown mode are refused.
func TestChallengeBounds(t *testing.T) {
	for bits, ok := range map[int]bool{0: true, 7: false, 8: true, 22: true, 23: false, -1: false} {
		if _, err := newChallenges(ChallengeAuto, bits, nil, nil); (err == nil) != ok {
			t.Errorf("%d bits: got %v, want accepted %v", bits, err, ok)
		}
	}
	if _, err := newChallenges("sometimes", 0, nil, nil); err == nil {
		t.Error("an unknown mode: got no error, want one")
	}
}

// Only digits, from one to sixteen of them, are a solution, whatever their hash.
func TestSolutionsAreShortNumbers(t *testing.T) {
	// hit returns a seed with which the text would be a solution.
	hit := func(text string) string {
		for n := 0; ; n++ {
			if seed := strconv.Itoa(n) + "-"; zeroBits(seed+text) >= MinChallengeBits {
				return seed
			}
		}
	}
	for text, want := range map[string]bool{
		"":                        false,
		"0":                       true,
		"9":                       true,
		"09":                      true,
		"/":                       false, // before 0
		":":                       false, // after 9
		"1/":                      false,
		":1":                      false,
		"-1":                      false,
		" 1":                      false,
		strings.Repeat("7", 16):   true,
		strings.Repeat("7", 17):   false,
		strings.Repeat("7", 1000): false,
	} {
		if got := solves(hit(text), MinChallengeBits, text); got != want {
			t.Errorf("%.20q: got solved %v, want %v", text, got, want)
		}
	}
}
