// SPDX-License-Identifier: Apache-2.0

package client

import (
	"math"
	"strings"
	"testing"
)

func TestContrast(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want float64
	}{
		{"#000000", "#ffffff", 21}, {"#ffffff", "#ffffff", 1}, {"#777777", "#ffffff", 4.48}, {"#767676", "#ffffff", 4.54}, {"#0066cc", "#ffffff", 5.57},
	} {
		a, _ := parseColour(row.a)
		b, _ := parseColour(row.b)
		if got := contrast(a, b); math.Abs(got-row.want) > .01 || contrast(b, a) != got {
			t.Errorf("%s on %s: %.2f, want %.2f", row.a, row.b, got, row.want)
		}
	}
}

func TestParseAccent(t *testing.T) {
	if a, err := ParseAccent("", ""); a != nil || err != nil {
		t.Errorf("%v, %v", a, err)
	}
	a, err := ParseAccent("#0066CC", "#6DB3FF")
	if err != nil || *a != (Accent{"#0066cc", "#0055a9", "#ffffff", "#6db3ff", "#92c6ff", "#0d1218"}) {
		t.Errorf("%+v, %v", a, err)
	}
	for _, row := range []struct{ light, dark, want string }{
		{"#0087ff", "", "contrast of 3.6 to 1 on the light theme's #ffffff"}, // Truecaller's blue, nearly
		{"#0066cc", "#0066cc", "on the dark theme's"},
		{"#06c", "", `"#06c" is not a colour`},
		{"blue", "", `"blue" is not a colour`},
		{"", "#6db3ff", `"" is not a colour`},
		{"#0066cc", "light", `"light" is not a colour`},
		{"#0066cc;x", "", "is not a colour"},
		{"#-06600", "", "is not a colour"},
	} {
		if a, err := ParseAccent(row.light, row.dark); err == nil || a != nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q, %q: %v, %v; want %q", row.light, row.dark, a, err, row.want)
		}
	}
}

// Whatever light accent is accepted, everything that the pages do with it can be
// read, also in the dark theme that is made of it.
func TestAccentsCanBeRead(t *testing.T) {
	accepted := 0
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				a, err := ParseAccent(colour{uint8(r), uint8(g), uint8(b)}.String(), "")
				if err != nil {
					continue
				}
				accepted++
				pair := func(on, text string) {
					x, ok := parseColour(on)
					y, ok2 := parseColour(text)
					if !ok || !ok2 || contrast(x, y) < minContrast {
						t.Errorf("%s on %s (%+v)", text, on, a)
					}
				}
				pair(a.Light, a.OnLight)
				pair(a.LightDown, a.OnLight)
				pair(a.Dark, a.OnDark)
				pair(a.DarkDown, a.OnDark)
				for _, ground := range LightGrounds {
					pair(ground, a.Light)
				}
				for _, ground := range DarkGrounds {
					pair(ground, a.Dark)
				}
			}
		}
	}
	if accepted < 500 {
		t.Errorf("only %d colours were accepted", accepted)
	}
}
