package config

import (
	"net/url"
	"os"

	"calleridp/provider/client"
	"calleridp/ui"
	"calleridp/ui/page"
)

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
