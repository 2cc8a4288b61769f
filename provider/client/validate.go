// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"calleridp/keys"
	"calleridp/provider/claims"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// FieldError and FieldErrors are those of package truecaller: whatever an
// operator configures is refused in one shape. Fields are named as in the
// configuration file, without what cmd adds: "redirect_uris[1]", "secret".
type (
	FieldError  = truecaller.FieldError
	FieldErrors = truecaller.FieldErrors
)

// Algorithms are the algorithms that a client's ID tokens and userinfo may be signed with,
// where the deployment has keys for them. The first is the default.
var Algorithms = keys.AllAlgorithms()

// Validate returns what is wrong with c, nil for a valid client.
func Validate(c Client) FieldErrors {
	var invalid FieldErrors
	refuse := func(field, format string, args ...any) {
		invalid = append(invalid, FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	switch {
	case c.ID == "":
		refuse("id", "missing")
	case !isID(c.ID):
		refuse("id", "must be 1 to 128 of the characters A-Z a-z 0-9 . _ ~ -")
	}
	if reason := checkText(c.Name); reason != "" {
		refuse("name", "%s", reason)
	}
	for _, link := range []struct{ field, value string }{
		{"logo_uri", c.LogoURI},
		{"client_uri", c.URI},
		{"tos_uri", c.TOSURI},
		{"policy_uri", c.PolicyURI},
		{"initiate_login_uri", c.InitiateLoginURI},
	} {
		if reason := checkLink(link.value); reason != "" {
			refuse(link.field, "%q %s", link.value, reason)
		}
	}
	// RFC 7636 §1, RFC 9700 §2.1.1: nothing else binds a public client's code.
	if c.Public && c.WithoutPKCE {
		refuse("without_pkce", "is for confidential clients only: a public client always needs PKCE (RFC 9700 §2.1.1)")
	}
	invalid = append(invalid, validateAuth(c)...)
	invalid = append(invalid, validateResponses(c)...)
	invalid = append(invalid, validateSignals(c)...)
	// A native application needs none: it brings its codes to the token endpoint.
	// Nor does one of devices without a browser.
	if len(c.RedirectURIs) == 0 && !c.Native && !c.DeviceFlow {
		refuse("redirect_uris", "missing; a client needs at least one")
	}
	for _, list := range []struct {
		field  string
		values []string
		check  func(string) (reason string)
	}{
		{"redirect_uris", c.RedirectURIs, checkRedirect},
		{"post_logout_redirect_uris", c.PostLogoutRedirectURIs, checkRedirect},
		{"allowed_origins", c.AllowedOrigins, CheckOrigin},
		{"scopes", c.Scopes, checkScope},
		{"default_scopes", c.DefaultScopes, checkScope},
	} {
		for i, value := range list.values {
			if reason := list.check(value); reason != "" {
				refuse(fmt.Sprintf("%s[%d]", list.field, i), "%q %s", value, reason)
			}
		}
	}
	if len(c.Scopes) > 0 && !slices.Contains(c.Scopes, claims.OpenID) {
		refuse("scopes", "must include openid")
	}
	if len(c.DefaultScopes) > 0 && !slices.Contains(c.DefaultScopes, claims.OpenID) {
		refuse("default_scopes", "must include openid")
	}
	for i, scope := range c.DefaultScopes {
		if !c.AllowsScope(scope) {
			refuse(fmt.Sprintf("default_scopes[%d]", i), "%q is not in scopes", scope)
		}
	}
	if c.Pairwise && c.Sector() == "" {
		refuse("sector_host", "missing; it is required because the redirect URIs do not share one host (OpenID Connect Core §8.1)")
	}
	if strings.ContainsAny(c.SectorHost, "/:@ ") {
		refuse("sector_host", "%q is not a host name", c.SectorHost)
	}
	for i, acr := range c.DefaultACRValues {
		// An unknown one of a client that registered itself is ignored: they are preferences.
		if c.Registration == nil && !slices.Contains(claims.ACRValues, acr) {
			refuse(fmt.Sprintf("default_acr_values[%d]", i), "%q is unknown; use %s", acr, strings.Join(claims.ACRValues, ", "))
		}
	}
	if c.DefaultMaxAge != nil && *c.DefaultMaxAge < 0 {
		refuse("default_max_age", "must not be negative (got %s)", *c.DefaultMaxAge)
	}
	if c.Native && c.Consent != ConsentNone {
		refuse("native", "is for the operator's own applications: no page could show a consent prompt")
	}
	if _, ok := ParseConsent(string(c.Consent)); !ok {
		refuse("consent", "%q is unknown; use none, remember or always", c.Consent)
	}
	if _, ok := ParseScopeClaims(string(c.ScopeClaims)); !ok {
		refuse("scope_claims", "%q is unknown; use both, id_token or userinfo", c.ScopeClaims)
	}
	if _, err := ParseAccent(c.Colour, c.ColourDark); err != nil {
		refuse("colour", "%v", err)
	}
	invalid = append(invalid, validateFrontChannel(c)...)
	invalid = append(invalid, ValidateResponseTypes(c.ResponseTypes)...)
	invalid = append(invalid, validateBackChannel(c)...)
	invalid = append(invalid, validateRequestObjects(c)...)
	invalid = append(invalid, ValidateCountries(c.Countries)...)
	if c.Region != "" && !phone.IsRegion(c.Region) {
		refuse("region", "%q is not a country; use two capital letters (ISO 3166-1 alpha-2)", c.Region)
	}
	return invalid
}

// Advise returns what is allowed and unwise in a valid client.
func Advise(c Client) FieldErrors {
	var unwise FieldErrors
	for _, list := range []struct {
		field  string
		values []string
	}{
		{"redirect_uris", c.RedirectURIs},
		{"post_logout_redirect_uris", c.PostLogoutRedirectURIs},
	} {
		for i, uri := range list.values {
			if reason := adviseRedirect(c, uri); reason != "" {
				unwise = append(unwise, FieldError{Field: fmt.Sprintf("%s[%d]", list.field, i), Reason: fmt.Sprintf("%q %s", uri, reason)})
			}
		}
	}
	unwise = append(unwise, adviseResponses(c)...)
	return append(unwise, adviseResponseTypes(c.ResponseTypes)...)
}

// checkText returns why a text that people read is refused, "" if it is not.
func checkText(text string) (reason string) {
	if len(text) > 200 || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		return "must be at most 200 bytes, without invisible characters"
	}
	return ""
}

func checkScope(scope string) (reason string) {
	if slices.Contains(claims.Scopes, scope) {
		return ""
	}
	return "is unknown; use one of " + strings.Join(claims.Scopes, ", ")
}

// Deployment is what the server has for its clients.
type Deployment struct {
	Apps          []App          // the configured Truecaller apps; the first serves clients that name none
	Algorithms    []string       // those of the signing keys; empty: all
	Unsigned      bool           // clients may register for ID tokens without a signature
	ResponseTypes []ResponseType // those that clients may use; empty: code
	DeviceFlow    bool           // clients may use the device flow
	Signals       bool           // clients may have streams of events

	RequestObjects RequestObjectMode

	// StrangersWithoutPKCE excuses confidential clients that registered themselves from PKCE.
	StrangersWithoutPKCE bool
}

// ExcusesPKCE reports whether the client is excused from PKCE: an operator's by its own
// setting, a stranger's by that of the deployment, as it is now. Never a public one.
func (d Deployment) ExcusesPKCE(c Client) bool {
	excused := c.WithoutPKCE
	if c.Registration != nil {
		excused = d.StrangersWithoutPKCE
	}
	return excused && !c.Public
}

// ValidateFor returns why the client cannot be one of this deployment, nil if it can.
func ValidateFor(c Client, d Deployment) FieldErrors {
	app, invalid := d.validate(c)
	if c.Native && app != nil && !app.Native {
		invalid = append(invalid, FieldError{
			Field:  "native",
			Reason: fmt.Sprintf("needs a Truecaller app with the method native, which %q does not have", app.ID),
		})
	}
	return invalid
}

// validate returns the client's app, and what the client needs that the deployment does not
// have. A client of the config file may be native before its app is: its sign-ins are refused.
func (d Deployment) validate(c Client) (*App, FieldErrors) {
	app, invalid := appOf(c, d.Apps)
	invalid = append(invalid, d.validateResponses(c)...)
	invalid = append(invalid, d.validateResponseTypes(c)...)
	invalid = append(invalid, d.validateDeviceFlow(c)...)
	invalid = append(invalid, d.validateSignals(c)...)
	invalid = append(invalid, d.validateRequestObjects(c)...)
	return app, invalid
}

// appOf returns the client's Truecaller app, nil if there is none.
func appOf(c Client, apps []App) (*App, FieldErrors) {
	ids := make([]string, len(apps))
	for i := range apps {
		if ids[i] = apps[i].ID; c.TruecallerApp == "" || c.TruecallerApp == ids[i] {
			return &apps[i], nil
		}
	}
	if c.TruecallerApp == "" {
		return nil, nil
	}
	return nil, FieldErrors{{
		Field:  "truecaller_app",
		Reason: fmt.Sprintf("%q is not configured; use one of %s", c.TruecallerApp, strings.Join(ids, ", ")),
	}}
}

// maxCountries bounds how many countries a list may start with.
const maxCountries = 20

// ValidateCountries returns what is wrong with the countries that a list starts
// with, as the field "countries".
func ValidateCountries(regions []string) FieldErrors {
	if len(regions) > maxCountries {
		return FieldErrors{{Field: "countries", Reason: fmt.Sprintf("must be at most %d countries (got %d)", maxCountries, len(regions))}}
	}
	var invalid FieldErrors
	for i, region := range regions {
		field := fmt.Sprintf("countries[%d]", i)
		switch {
		case !phone.IsRegion(region):
			invalid = append(invalid, FieldError{Field: field, Reason: fmt.Sprintf("%q is not a country; use two capital letters (ISO 3166-1 alpha-2)", region)})
		case slices.Contains(regions[:i], region):
			invalid = append(invalid, FieldError{Field: field, Reason: fmt.Sprintf("%q is listed twice", region)})
		}
	}
	return invalid
}

// AllowsScope reports whether the client may request the scope.
func (c Client) AllowsScope(scope string) bool {
	return len(c.Scopes) == 0 || slices.Contains(c.Scopes, scope)
}

func isID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && strings.IndexByte("._~-", c) < 0 {
			return false
		}
	}
	return true
}
