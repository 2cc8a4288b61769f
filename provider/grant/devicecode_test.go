// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"strings"
	"testing"
	"time"

	"calleridp/provider/redact"
)

func TestParseUserCode(t *testing.T) {
	for typed, want := range map[string]string{
		"BCD-FGH-JKL":                         "BCDFGHJKL",
		"bcd fgh jkl":                         "BCDFGHJKL",
		" bcdfghjkl\n":                        "BCDFGHJKL",
		"BCD–FGH—JKL":                         "BCDFGHJKL", // dashes of other keyboards
		"BCD\u2212FGH\u05beJKL":               "BCDFGHJKL", // a minus, a maqaf
		"\u200fBCD-FGH-JKL\u200e":             "BCDFGHJKL", // as copied from a page in Arabic
		"\u2067BCD-FGH-JKL\u2069":             "BCDFGHJKL",
		"ＢＣＤ－ＦＧＨ－ＪＫＬ":                         "BCDFGHJKL", // full width
		"ВСD-FGН-ЈКL":                         "BCDFGHJKL", // Cyrillic
		"всd-fgн-јкl":                         "BCDFGHJKL",
		"ΒCD-FGΗ-JΚL":                         "BCDFGHJKL", // Greek
		"8CD-F6H-JK1":                         "BCDFGHJKL",
		"8CD-F6H-JKI":                         "BCDFGHJKL",
		"UUU-555-222":                         "VVVSSSZZZ",
		"BCD-FGH-JK":                          "",
		"BCD-FGH-JKLM":                        "",
		"BCD-FGH-JKO":                         "", // D or Q
		"BCD-FGH-JK0":                         "",
		"ACD-FGH-JKL":                         "",
		"BCD-FGH-JK☃":                         "",
		"":                                    "",
		"BCDFGHJKL" + strings.Repeat(" ", 99): "",
	} {
		got, ok := ParseUserCode(typed)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %q, %v, want %q", typed, got, ok, want)
		}
	}
}

// What is read has nine of the letters, and is read again as it is shown.
func FuzzParseUserCode(f *testing.F) {
	f.Add("BCD-FGH-JKL")
	f.Add("\u2067ｂcd fgн jk1\u2069")
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := ParseUserCode(typed)
		if !ok {
			return
		}
		if len(code) != userCodeLength || strings.Trim(code, userCodeLetters) != "" {
			t.Fatalf("%q: got %q, want %d letters", typed, code, userCodeLength)
		}
		if again, ok := ParseUserCode(strings.ToLower(FormatUserCode(code))); !ok || again != code {
			t.Fatalf("%q: shown as %q, read as %q", code, FormatUserCode(code), again)
		}
	})
}

// Each letter comes in each place.
func TestNewUserCodeUsesEveryLetter(t *testing.T) {
	seen := map[[2]byte]bool{}
	for range 4000 { // a letter is missing once in 10^86 runs
		code := NewUserCode()
		if parsed, ok := ParseUserCode(FormatUserCode(code)); !ok || parsed != code {
			t.Fatalf("%q is read as %q, %v", code, parsed, ok)
		}
		for i := range len(code) {
			seen[[2]byte{byte(i), code[i]}] = true
		}
	}
	if want := userCodeLength * len(userCodeLetters); len(seen) != want {
		t.Errorf("got %d of %d letters in their places", len(seen), want)
	}
	if got := FormatUserCode("BCDFGHJKL"); got != "BCD-FGH-JKL" {
		t.Errorf("got %q, want three groups", got)
	}
}

func FuzzParseDeviceCode(f *testing.F) {
	user := UserCodeHash{1, 2, 3}
	f.Add(string(NewDeviceCode(user)))
	f.Add("." + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, text string) {
		user, ok := ParseDeviceCode(redact.Text(text))
		if !ok {
			return
		}
		where, _, _ := strings.Cut(string(NewDeviceCode(user)), ".")
		if before, _, _ := strings.Cut(text, "."); before != where {
			t.Fatalf("%q leads to where %q does", text, where)
		}
	})
}

func TestADeviceRequestLives(t *testing.T) {
	now := time.Now()
	d := DeviceRequest{Created: now, Expires: now.Add(time.Minute)}
	for after, want := range map[time.Duration]bool{
		0: true, time.Minute - 1: true, time.Minute: false, time.Hour: false, -time.Hour: false, // a clock that was fast
	} {
		if got := d.Live(now.Add(after)); got != want {
			t.Errorf("after %s: got %v, want %v", after, got, want)
		}
	}
	if d.Kept().Before(d.Expires.Add(time.Minute)) {
		t.Error("the request is gone when it expires, so that nobody is told")
	}
}

// A denied code gives nothing, whoever presents it and however often.
func TestADeniedCodeGivesNothing(t *testing.T) {
	now := time.Now()
	c := DeniedCode(CodeHash{1}, "tv", now, now.Add(time.Minute))
	use := CodeUse{ClientID: "tv", Access: TokenHash{2}, At: now}
	for range 2 {
		got := Policy{AccessToken: time.Hour}.Redeem(c, nil, use)
		if got.Refused != ErrDenied || got.Code != nil || got.Grant != nil || got.Access != nil {
			t.Errorf("got %+v, want nothing but %v", got, ErrDenied)
		}
	}
	if err := c.Usable(now); err != ErrDenied {
		t.Errorf("got %v, want %v", err, ErrDenied)
	}
}
