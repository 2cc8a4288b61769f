// SPDX-License-Identifier: Apache-2.0

package calleridp_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// luminance returns the relative luminance of a colour like #0066cc (WCAG 2.2).
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var channels [3]float64
	for i := range channels {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(colour, err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			channels[i] = c / 12.92
		} else {
			channels[i] = math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*channels[0] + 0.7152*channels[1] + 0.0722*channels[2]
}

// contrast returns the contrast ratio of two colours, from 1 to 21.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// picture holds what the tests read of a button as SVG.
type picture struct {
	Role   string `xml:"role,attr"`
	Lang   string `xml:"lang,attr"`
	Height string `xml:"height,attr"`
	Title  string `xml:"title"`
	Ground struct {
		Fill   string `xml:"fill,attr"`
		Stroke string `xml:"stroke,attr"`
	} `xml:"rect"`
	Text struct {
		Fill      string `xml:"fill,attr"`
		Direction string `xml:"direction,attr"`
		Text      string `xml:",chardata"`
	} `xml:"text"`
}

// The buttons are readable in both themes and directions, have a name for screen readers,
// load nothing, and have no logo: only a rectangle, a phone and a text.
func TestButtons(t *testing.T) {
	const folder = "examples/buttons/"
	page, err := os.ReadFile(folder + "index.html")
	if err != nil {
		t.Fatal(err)
	}
	grounds := map[string]string{"light": "#f3f5f8", "dark": "#0d1218"}
	for _, style := range []string{"filled", "outline"} {
		for theme, ground := range grounds {
			for _, direction := range []string{"", "rtl"} {
				name := strings.Trim(style+"-"+theme+"-"+direction, "-") + ".svg"
				text, err := os.ReadFile(folder + name)
				if err != nil {
					t.Fatal(err)
				}
				var p picture
				if err := xml.Unmarshal(text, &p); err != nil {
					t.Fatal(name, err)
				}
				if p.Role != "img" || p.Title == "" || p.Title != p.Text.Text || !strings.Contains(p.Title, "Truecaller") {
					t.Errorf("%s: got role %q, title %q and text %q", name, p.Role, p.Title, p.Text.Text)
				}
				if p.Text.Direction != direction || (p.Lang == "ar") != (direction == "rtl") {
					t.Errorf("%s: got direction %q and language %q", name, p.Text.Direction, p.Lang)
				}
				if got := contrast(t, p.Text.Fill, p.Ground.Fill); got < 4.5 {
					t.Errorf("%s: the text has a contrast of %.2f, want 4.5", name, got)
				}
				if got := contrast(t, p.Ground.Stroke, ground); got < 3 {
					t.Errorf("%s: the border has a contrast of %.2f with the page, want 3", name, got)
				}
				if !strings.Contains(string(page), `src="`+name+`"`) {
					t.Errorf("index.html does not show %s", name)
				}
			}
		}
	}
	files, err := filepath.Glob(folder + "*")
	if err != nil {
		t.Fatal(err)
	}
	outside := regexp.MustCompile(`(?i)<script|<image|<use|@import|url\(|(?:src|href)="(?:https?:)?//|javascript:|\son\w+=`)
	allowed := map[string]bool{"svg": true, "title": true, "rect": true, "g": true, "path": true, "text": true}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := outside.FindString(string(text)); found != "" {
			t.Errorf("%s has %q: buttons run no script and load nothing from other sites", file, found)
		}
		if !strings.HasSuffix(file, ".svg") {
			continue
		}
		for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(file, err)
			}
			if e, ok := token.(xml.StartElement); ok && !allowed[e.Name.Local] {
				t.Errorf("%s has an element %s", file, e.Name.Local)
			}
		}
	}
}

// docs/buttons.md has the text of the button in each language of the pages.
func TestButtonsInEveryLanguage(t *testing.T) {
	text, err := os.ReadFile("docs/buttons.md")
	if err != nil {
		t.Fatal(err)
	}
	locales, err := filepath.Glob("ui/locales/*.json")
	if err != nil || len(locales) == 0 {
		t.Fatal("no locales", err)
	}
	for _, file := range locales {
		language := strings.TrimSuffix(filepath.Base(file), ".json")
		row := regexp.MustCompile("(?m)^\\| `" + language + "` \\| [^|]+ \\| ([^|]*) \\|$").FindStringSubmatch(string(text))
		if row == nil || !strings.Contains(row[1], "Truecaller") {
			t.Errorf("docs/buttons.md has no text in %q", language)
		}
	}
}
