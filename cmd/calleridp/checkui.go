package main

import (
	"net/url"
	"os"

	"calleridp/provider/client"
	"calleridp/ui"
	"calleridp/ui/page"
)

// checkUI reads how the pages look. What is in overrides_dir is checked by the
// pages themselves, when they are made.
func checkUI(c UIConfig, d *decoder) page.Brand {
	brand := page.Brand{PrivacyURL: c.PrivacyURL, TermsURL: c.TermsURL}
	for _, link := range []struct{ key, value string }{{"ui.privacy_url", c.PrivacyURL}, {"ui.terms_url", c.TermsURL}} {
		if u, err := url.Parse(link.value); link.value != "" && (err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil) {
			d.wrong(link.key, "%q is not an https address", link.value)
		}
	}
	var err error
	if brand.Accent, err = client.ParseAccent(c.Colour, c.ColourDark); err != nil {
		d.wrong("ui.colour", "%v", err)
	}
	if c.LogoFile != "" {
		if raw, err := os.ReadFile(c.LogoFile); err != nil {
			d.wrong("ui.logo_file", "%s", fileMistake(c.LogoFile, err))
		} else if brand.Logo, err = page.ReadLogo(raw); err != nil {
			d.wrong("ui.logo_file", "%v", err)
		}
	}
	if c.OverridesDir != "" {
		if info, err := os.Stat(c.OverridesDir); err != nil {
			d.wrong("ui.overrides_dir", "%s", fileMistake(c.OverridesDir, err))
		} else if !info.IsDir() {
			d.wrong("ui.overrides_dir", "%s is not a directory", c.OverridesDir)
		} else if err := ui.CheckOverrides(os.DirFS(c.OverridesDir)); err != nil {
			d.wrong("ui.overrides_dir", "%v", err)
		}
	}
	return brand
}
