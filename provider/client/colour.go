// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"math"
	"strconv"
)

// An accent is the one colour of the pages that an application, or the operator,
// may choose: that of buttons and links. It must be readable wherever the pages
// put it (WCAG 2.2, 1.4.3: 4.5 to 1), in the light theme and in the dark one.

// The grounds on which the pages write in the accent. A test of package ui holds
// them to be those of the stylesheet.
var (
	LightGrounds = []string{"#ffffff", "#f4f3ef", "#f3f2ed"}
	DarkGrounds  = []string{"#191b1f", "#0f1013", "#22252a"}
)

// minContrast is what WCAG 2.2 requires for text of any size (1.4.3, level AA).
const minContrast = 4.5

// Accent is a checked pair of accents, written as "#rrggbb" in lower case, with
// what follows from them.
type Accent struct {
	Light, LightDown, OnLight string // the accent, pressed, and text upon it
	Dark, DarkDown, OnDark    string // the same in the dark theme
}

// ParseAccent parses the accents of the light and the dark theme. If both are empty it
// returns nil: the pages' own. An empty dark one is the light one, lightened until it
// is readable. The error says which colour is not readable on which, and by how much.
func ParseAccent(light, dark string) (*Accent, error) {
	if light == "" && dark == "" {
		return nil, nil
	}
	l, ok := parseColour(light)
	if !ok {
		return nil, fmt.Errorf("%q is not a colour like #0066cc", light)
	}
	if err := readable(l, LightGrounds, "light", "darker"); err != nil {
		return nil, err
	}
	d, ok := parseColour(dark)
	switch {
	case dark == "":
		for d = l; readable(d, DarkGrounds, "dark", "lighter") != nil; {
			d = d.mixed(colour{255, 255, 255}, .1)
		}
	case !ok:
		return nil, fmt.Errorf("%q is not a colour like #6db3ff", dark)
	default:
		if err := readable(d, DarkGrounds, "dark", "lighter"); err != nil {
			return nil, err
		}
	}
	black, white := colour{0, 0, 0}, colour{255, 255, 255}
	return &Accent{
		Light:     l.String(),
		LightDown: l.mixed(black, .17).String(),
		OnLight:   white.String(),
		Dark:      d.String(),
		DarkDown:  d.mixed(white, .25).String(),
		OnDark:    colour{0x0d, 0x12, 0x18}.String(),
	}, nil
}

func readable(c colour, grounds []string, theme, change string) error {
	for _, text := range grounds {
		ground, _ := parseColour(text)
		if ratio := contrast(c, ground); ratio < minContrast {
			return fmt.Errorf("%s has a contrast of %.1f to 1 on the %s theme's %s; WCAG AA asks for %.1f, so choose a %s one", c, ratio, theme, text, minContrast, change)
		}
	}
	return nil
}

type colour [3]uint8

func parseColour(s string) (colour, bool) {
	if len(s) != 7 || s[0] != '#' {
		return colour{}, false
	}
	v, err := strconv.ParseUint(s[1:], 16, 32)
	if err != nil {
		return colour{}, false
	}
	return colour{uint8(v >> 16), uint8(v >> 8), uint8(v)}, true
}

func (c colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// mixed returns c with a part of another colour.
func (c colour) mixed(with colour, part float64) colour {
	var out colour
	for i := range out {
		out[i] = uint8(math.Round(float64(c[i])*(1-part) + float64(with[i])*part))
	}
	return out
}

// luminance returns the relative luminance of WCAG 2.2.
func (c colour) luminance() float64 {
	linear := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= .04045 {
			return f / 12.92
		}
		return math.Pow((f+.055)/1.055, 2.4)
	}
	return .2126*linear(c[0]) + .7152*linear(c[1]) + .0722*linear(c[2])
}

// contrast returns the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + .05) / (min(x, y) + .05)
}
