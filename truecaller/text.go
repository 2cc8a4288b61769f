// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The longest strings of a profile, in runes: users choose them, and ID tokens contain
// them.
const (
	maxName  = 100
	maxText  = 500
	maxShort = 64
	maxURL   = 1000
	maxEmail = 254 // RFC 5321 §4.5.3.1.3 less its angle brackets
	maxID    = 128
)

// text returns the scalar in a presentable form: valid, NFC, without control or
// direction characters, on one line, trimmed, cut after max runes. It returns "" if
// no character is visible.
func (s scalar) text(max int) string {
	// Cutting first bounds the work.
	shown := norm.NFC.String(strings.Map(presentable, cut(string(s), 4*max)))
	shown = strings.TrimSpace(cut(strings.TrimSpace(shown), max))
	if !strings.ContainsFunc(shown, visible) {
		return ""
	}
	return shown
}

// whole returns the scalar trimmed and NFC, or "" if text would change anything else:
// a cut address or id belongs to another user.
func (s scalar) whole(max int) string {
	if len(s) > utf8.UTFMax*(max+2) {
		return ""
	}
	trimmed := norm.NFC.String(strings.TrimSpace(string(s)))
	if s.text(max) != trimmed {
		return ""
	}
	return trimmed
}

// Joiners are format characters that Indic and Arabic scripts and emoji need.
const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)

// presentable maps a rune for text, to -1 if it must not be in a claim.
func presentable(r rune) rune {
	switch {
	case r == '\n', r == '\t', r == '\r', r == '\u2028', r == '\u2029', r == '\u0085':
		return ' '
	case r == zwj, r == zwnj:
		return r
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs), r == utf8.RuneError:
		return -1
	case r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef: // not characters, by definition
		return -1
	}
	return r
}

// visible reports whether r is visible by itself. Fillers are invisible letters.
func visible(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800':
		return false
	}
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S)
}

func cut(s string, runes int) string {
	for i := range s {
		if runes == 0 {
			return s[:i]
		}
		runes--
	}
	return s
}
