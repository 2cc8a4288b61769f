// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

const charactersFile = "../../test/browser/testdata/characters.json"

// Every character of Unicode is a digit, a plus, something between digits, or a mistake.
// The browser's test holds the script to the same for those of sixteen bits.
func TestCharacters_Groups(t *testing.T) {
	var zeros strings.Builder
	var between [][2]rune
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if 0xd800 <= r && r < 0xe000 {
			continue
		}
		n, err := Parse("070"+string(r)+"17406"+string(r)+"05", "SE")
		switch {
		case unicode.Is(unicode.Nd, r):
			if r <= 0xffff && digitValue(r) == 0 {
				zeros.WriteString(string(r))
			}
		case err == nil && n.E164() == "+46701740605":
			if unicode.IsLetter(r) && !strings.ContainsRune("ーｰ", r) {
				t.Errorf("the letter %U is passed over", r)
			}
			if last := len(between) - 1; r > 0xffff {
				continue
			} else if last >= 0 && between[last][1] == r-1 {
				between[last][1] = r
			} else {
				between = append(between, [2]rune{r, r})
			}
		case err == nil:
			t.Errorf("%U makes another number", r)
		}
	}
	text, err := json.Marshal(map[string]any{"zeros": zeros.String(), "between": between})
	if err != nil {
		t.Fatal(err)
	}
	generated(t, charactersFile, string(text)+"\n")
}

func TestParseReadsWhatKeyboardsGive(t *testing.T) {
	for _, input := range []string{
		"０９０ー１２３４ー５６７８", "０９０ｰ１２３４ｰ５６７８", "090・1234・5678", "090－1234－5678", "（090）1234‐5678",
		"090−1234−5678", "090―1234―5678", "090─1234─5678", "090\u00a01234\u202f5678", "\u2068090\u20071234\u30005678\u2069",
		"０９０／１２３４／５６７８", "090\u00ad1234\u200b5678", "\u200e090-1234-5678\u200f",
	} {
		if n, err := Parse(input, "JP"); err != nil || n.E164() != "+819012345678" {
			t.Errorf("Parse(%+q, JP) = %s, %v; want +819012345678", input, n.E164(), err)
		}
	}
	for _, input := range []string{"090あ1234あ5678", "090一1234一5678", "09O12345678", "090l2345678", "090_1234_5678", "090ㅡ1234ㅡ5678"} {
		if n, err := Parse(input, "JP"); err == nil {
			t.Errorf("Parse(%+q, JP) = %s, want a mistake", input, n.E164())
		}
	}
}
