// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// What a user has written comes out on one line, without what has no shape or changes the
// direction; joiners stay, and text of nothing visible is none.
func TestText(t *testing.T) {
	for in, want := range map[scalar]string{
		"":                               "",
		"Asha":                           "Asha",
		" \tAsha\r\nRao\u2028x ":         "Asha  Rao x",
		"a\u0085b\u2029c":                "a b c",
		"a\u202eb\u2066c\u200e":          "abc",
		"a\ufdd0b\ufdefc":                "abc",
		"a\ufdcfb\ufdf0c":                "a\ufdcfb\ufdf0c", // next to what are no characters
		"a\ufffeb\uffffc":                "abc",
		"a\U0001fffeb\U0010ffff":         "ab",
		"a\ufffdb\xff":                   "ab",
		"a\ue000b":                       "ab",
		"a\x00b\x7fc":                    "abc",
		"می\u200cخواهم":                  "می\u200cخواهم",
		"\u200d\u200c":                   "",
		"\u115f\u1160\u3164\uffa0\u2800": "",
		"\u3164a":                        "\u3164a",
		"e\u0301":                        "é",
		" \u00a0 ":                       "",
	} {
		if got := in.text(100); got != want {
			t.Errorf("%+q: got %+q, want %+q", string(in), got, want)
		}
	}
	for max, want := range map[int]string{1: "é", 3: "éé", 4: "éé é", 5: "éé éx", 100: "éé éx"} {
		if got := scalar("éé éx").text(max); got != want {
			t.Errorf("at most %d: got %q, want %q", max, got, want)
		}
	}
}

// An ID or an address is taken as it is, or not at all.
func TestWhole(t *testing.T) {
	for in, want := range map[scalar]string{
		" id ":                             "id",
		scalar(strings.Repeat("x", 8)):     "xxxxxxxx",
		scalar(strings.Repeat("x", 9)):     "",
		scalar(strings.Repeat("😀", 8)):     strings.Repeat("😀", 8),
		"a\u202eb":                         "",
		"a\nb":                             "",
		scalar(strings.Repeat(" ", 1<<16)): "",
		"":                                 "",
	} {
		if got := in.whole(8); got != want {
			t.Errorf("%.20q: got %q, want %q", string(in), got, want)
		}
	}
}

// Whatever the text, what comes out can be put into a claim and shown.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "Asha", "a\u202eb", "\xff\u0000", "e\u0301\u0301", strings.Repeat("\u0344", 50)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		const most = 10
		got := scalar(in).text(most)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > most || strings.TrimSpace(got) != got {
			t.Errorf("%+q: got %+q", in, got)
		}
		for _, r := range got {
			if r != zwj && r != zwnj && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
				t.Errorf("%+q: got %+q with %U in it", in, got, r)
			}
		}
	})
}
