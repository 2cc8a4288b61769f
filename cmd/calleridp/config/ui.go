// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/url"
	"os"

	"calleridp/provider/client"
	"calleridp/ui"
	"calleridp/ui/page"
)

// UI configures the pages.
type UI struct {
	// Name is the name of this service on the pages. Default app_name of truecaller.
	Name string `yaml:"name"`
	// LogoFile is the file with its logo: SVG, PNG or WebP, at most 64 kB. If unset,
	// the pages show no logo.
	LogoFile string `yaml:"logo_file"`
	// Colour is the accent colour of buttons and links, like "#0066cc"; refused if its
	// contrast is too low to read (WCAG 2.2 AA). Default a blue.
	Colour string `yaml:"colour"`
	// ColourDark is the accent colour in the dark theme. Default derived from colour.
	ColourDark string `yaml:"colour_dark"`
	// PrivacyURL links to your privacy policy on every page. If unset, no link is
	// shown.
	PrivacyURL string `yaml:"privacy_url"`
	// TermsURL links to your terms of service on every page. If unset, no link is
	// shown.
	TermsURL string `yaml:"terms_url"`
	// OverridesDir is a directory with your own texts, templates and style: see
	// docs/pages.md. They are checked at the start. If unset, the built-in ones are
	// used.
	OverridesDir string `yaml:"overrides_dir"`
}

// checkUI reads how the pages look.
func (d *decoder) checkUI(c UI) page.Brand {
	brand := page.Brand{PrivacyURL: c.PrivacyURL, TermsURL: c.TermsURL}
	for _, link := range []struct{ key, value string }{
		{"ui.privacy_url", c.PrivacyURL},
		{"ui.terms_url", c.TermsURL},
	} {
		u, err := url.Parse(link.value)
		valid := err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil
		if link.value != "" && !valid {
			d.refuse(link.key, "%q is not an https URL", link.value)
		}
	}
	var err error
	if brand.Accent, err = client.ParseAccent(c.Colour, c.ColourDark); err != nil {
		d.refuse("ui.colour", "%v", err)
	}
	if c.LogoFile != "" {
		if raw, err := os.ReadFile(c.LogoFile); err != nil {
			d.refuse("ui.logo_file", "%s", fileReason(c.LogoFile, err))
		} else if brand.Logo, err = page.ReadLogo(raw); err != nil {
			d.refuse("ui.logo_file", "%v", err)
		}
	}
	if c.OverridesDir != "" {
		if info, err := os.Stat(c.OverridesDir); err != nil {
			d.refuse("ui.overrides_dir", "%s", fileReason(c.OverridesDir, err))
		} else if !info.IsDir() {
			d.refuse("ui.overrides_dir", "%s is not a directory", c.OverridesDir)
		}
	}
	return brand
}

// checkOverrides refuses operators' files that the pages cannot be drawn with. It draws every
// page, and is no part of Load: a server draws them itself, and a command draws none.
func (s Settings) checkOverrides() []KeyError {
	if s.UI.OverridesDir == "" {
		return nil
	}
	if err := ui.CheckOverrides(os.DirFS(s.UI.OverridesDir)); err != nil {
		return []KeyError{OverridesError(err)}
	}
	return nil
}

// OverridesError says what is wrong with the operator's files for the pages.
func OverridesError(err error) KeyError {
	return KeyError{Key: "ui.overrides_dir", Reason: err.Error()}
}
