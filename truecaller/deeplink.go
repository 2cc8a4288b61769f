// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Dialog configures the look and text of Truecaller's dialog that a one-tap link opens
// (docs/truecaller.md section 2). Every field is optional. The words are a fixed
// vocabulary of Truecaller's, which shows unknown words as nothing.
type Dialog struct {
	LoginPrefix  string        // the title's first half; default "continue"
	LoginSuffix  string        // its second half; default "login"
	CTAPrefix    string        // on the button before the number; default "continuewith"
	CTAColor     string        // fill of the button, "#RRGGBB"; "" is Truecaller's blue
	CTATextColor string        // its text
	BtnShape     string        // round or rect
	SkipOption   string        // the text below the button; default "useanothernum"
	TTL          time.Duration // after which the dialog closes by itself; 0: never, at least 8 s
	PrivacyURL   string        // https
	TermsURL     string        // https

	// PartnerName is our name in the dialog; "" is the app's Name.
	PartnerName string

	// FirstOfSeveral uses the first number of a profile that has several. Otherwise such
	// a sign-in is refused: Truecaller does not document their order and meaning.
	FirstOfSeveral bool
}

// The vocabulary of one-tap links (docs/truecaller.md section 2).
var (
	loginPrefixes = []string{"getstarted", "continue", "placeorder", "completepurchase", "checkout", "completebooking",
		"proceedwithbooking", "continuewith", "getdetails", "viewmore", "continuereading", "proceed"}
	loginSuffixes = []string{"verifymobile", "login", "signup", "loginsignup", "register", "signin"}
	ctaPrefixes   = []string{"use", "continuewith", "proceedwith"}
	btnShapes     = []string{"round", "rect"}
	skipOptions   = []string{"useanothernum", "useanothermethod", "manualdetails", "later"}
	linkLanguages = []string{"en", "hi", "mr", "te", "ml", "ur", "pa", "ta", "bn", "kn", "sw", "ar"}
)

// Limits of the values in a link.
const (
	minNonce, maxNonce = 8, 64 // characters of a requestNonce, Truecaller's limits
	minTTL             = 8 * time.Second
	maxTTL             = 10 * time.Minute
	maxLinkURL         = 512 // bytes of a privacy or terms address
	maxPartnerName     = 64  // characters; the dialog has one line for it
)

// Validate returns what is wrong with the dialog, nil for a valid one. Fields are
// named as in Dialog.
func (d Dialog) Validate() FieldErrors {
	var invalid FieldErrors
	refuse := func(field, format string, args ...any) {
		invalid = append(invalid, FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	for _, word := range []struct {
		field, value string
		known        []string
	}{
		{"LoginPrefix", d.LoginPrefix, loginPrefixes},
		{"LoginSuffix", d.LoginSuffix, loginSuffixes},
		{"CTAPrefix", d.CTAPrefix, ctaPrefixes},
		{"BtnShape", d.BtnShape, btnShapes},
		{"SkipOption", d.SkipOption, skipOptions},
	} {
		if word.value != "" && !slices.Contains(word.known, word.value) {
			refuse(word.field, "%q is unknown; use one of %s", word.value, strings.Join(word.known, ", "))
		}
	}
	for _, color := range []struct{ field, value string }{
		{"CTAColor", d.CTAColor},
		{"CTATextColor", d.CTATextColor},
	} {
		if color.value != "" && !isColor(color.value) {
			refuse(color.field, "%q is not a colour like #0066CC", color.value)
		}
	}
	for _, link := range []struct{ field, value string }{
		{"PrivacyURL", d.PrivacyURL},
		{"TermsURL", d.TermsURL},
	} {
		if link.value != "" && !isWebAddress(link.value) {
			refuse(link.field, "%q is not an https URL of at most %d bytes", link.value, maxLinkURL)
		}
	}
	if d.TTL != 0 && (d.TTL < minTTL || d.TTL > maxTTL) {
		refuse("TTL", "must be between 8s and 10m (got %s)", d.TTL)
	}
	if !isName(d.PartnerName) {
		refuse("PartnerName", "%q is longer than %d characters or has control characters", d.PartnerName, maxPartnerName)
	}
	return invalid
}

// ErrLink is the error of a link that cannot be made: the app does not offer one-tap,
// or Truecaller does not accept a part of the link.
var ErrLink = errors.New("truecaller: no one-tap link can be built")

// DeepLink returns the link that opens Truecaller's dialog on an Android phone
// (docs/truecaller.md section 2). nonce is 8 to 64 characters of base64url and comes
// back as requestId. lang is a BCP 47 tag; the dialog falls back to English. The link
// has validated values only, percent-encoded: spaces as %20, because Android does not
// always read a plus as a space. Errors wrap ErrLink.
func (a App) DeepLink(nonce, lang string) (string, error) {
	d := a.OneTap
	if d == nil {
		return "", fmt.Errorf("%w: app %q does not offer one-tap", ErrLink, a.ID)
	}
	if len(nonce) < minNonce || len(nonce) > maxNonce || !consistsOf(nonce, base64URL) {
		return "", fmt.Errorf("%w: the nonce is not %d to %d characters of base64url", ErrLink, minNonce, maxNonce)
	}
	name := cmp.Or(d.PartnerName, a.Name)
	if !isBearer(a.Key) || name == "" || !isName(name) || d.Validate() != nil {
		return "", fmt.Errorf("%w: app %q is not valid", ErrLink, a.ID)
	}
	link := []byte("truecallersdk://truesdk/web_verify?type=btmsheet")
	add := func(name, value string) {
		if value != "" {
			link = append(link, '&')
			link = append(link, name...)
			link = append(link, '=')
			link = append(link, encoded(value)...)
		}
	}
	add("requestNonce", nonce)
	add("partnerKey", a.Key)
	add("partnerName", name)
	add("lang", linkLanguage(lang))
	add("privacyUrl", d.PrivacyURL)
	add("termsUrl", d.TermsURL)
	add("loginPrefix", cmp.Or(d.LoginPrefix, "continue"))
	add("loginSuffix", cmp.Or(d.LoginSuffix, "login"))
	add("ctaPrefix", cmp.Or(d.CTAPrefix, "continuewith"))
	add("ctaColor", d.CTAColor)
	add("ctaTextColor", d.CTATextColor)
	add("btnShape", d.BtnShape)
	add("skipOption", cmp.Or(d.SkipOption, "useanothernum"))
	if d.TTL > 0 {
		add("ttl", strconv.FormatInt(d.TTL.Milliseconds(), 10))
	}
	return string(link), nil
}

// encoded returns a value of a query. url.PathEscape would not escape & and =.
func encoded(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }

// linkLanguage returns the dialog's name of a language: its primary subtag.
func linkLanguage(tag string) string {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if slices.Contains(linkLanguages, primary) {
		return primary
	}
	return "en"
}

func isColor(s string) bool {
	return len(s) == 7 && s[0] == '#' && consistsOf(s[1:], hexDigits)
}

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && len(s) <= maxLinkURL
}

// isName reports whether s may be a partner name. It accepts "".
func isName(s string) bool {
	return utf8.RuneCountInString(s) <= maxPartnerName &&
		!strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || presentable(r) != r })
}
