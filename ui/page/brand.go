// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"net/http"

	"calleridp/provider/client"
)

// Brand is how an operator's pages look. The zero value is the pages' own look.
type Brand struct {
	Logo       *Image         // nil for none
	Accent     *client.Accent // of buttons and links; nil for the stylesheet's. A client's accent overrides it
	PrivacyURL string         // https, linked on every page
	TermsURL   string         // https, linked on every page
}

// Image is a picture that the pages show.
type Image struct {
	Type  string // its media type
	Bytes []byte
}

// maxLogo is the largest logo, in bytes. Every visitor loads it.
const maxLogo = 64 << 10

// extensions holds the file extensions of the media types that a logo may have.
var extensions = map[string]string{"image/svg+xml": ".svg", "image/png": ".png", "image/webp": ".webp"}

// ReadLogo checks a logo: SVG, PNG or WebP, of at most 64 kB.
func ReadLogo(raw []byte) (*Image, error) {
	if len(raw) > maxLogo {
		return nil, fmt.Errorf("the logo has %d bytes; at most %d", len(raw), maxLogo)
	}
	kind := http.DetectContentType(raw)
	if extensions[kind] == "" && isSVG(raw) {
		kind = "image/svg+xml"
	}
	if extensions[kind] == "" {
		return nil, errors.New("the logo is not SVG, PNG or WebP")
	}
	return &Image{Type: kind, Bytes: raw}, nil
}

// isSVG reports whether raw is an XML document whose root is svg.
func isSVG(raw []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch t := token.(type) {
		case xml.StartElement:
			return t.Name.Local == "svg"
		case xml.Directive: // <!doctype html> is one, and browsers guess
			if !bytes.HasPrefix(bytes.ToLower(t), []byte("doctype svg")) {
				return false
			}
		}
	}
}

// accentStyle returns a style that sets the stylesheet's tokens to an accent. It
// contains parsed colours only.
func accentStyle(a *client.Accent) template.CSS {
	if a == nil {
		return ""
	}
	tokens := func(accent, down, on string) string {
		return ":root{--accent:" + accent + ";--accent-down:" + down + ";--on-accent:" + on + "}"
	}
	return template.CSS(tokens(a.Light, a.LightDown, a.OnLight) + "@media (prefers-color-scheme:dark){" + tokens(a.Dark, a.DarkDown, a.OnDark) + "}")
}
