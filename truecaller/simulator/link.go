// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Link is a parsed one-tap link (docs/truecaller.md section 2).
type Link struct {
	Nonce, PartnerKey, PartnerName, Lang         string
	LoginPrefix, LoginSuffix, CTAPrefix          string
	CTAColor, CTATextColor, BtnShape, SkipOption string
	PrivacyURL, TermsURL                         string
	TTL                                          time.Duration // 0: the dialog stays
}

var languages = []string{"en", "hi", "mr", "te", "ml", "ur", "pa", "ta", "bn", "kn", "sw", "ar"}

// errLink is the error of a link that a phone does not open.
var errLink = errors.New("the phone does not open this link")

// parameters are the known parameters of a link.
var parameters = []string{
	"type",
	"requestNonce",
	"partnerKey",
	"partnerName",
	"lang",
	"privacyUrl",
	"termsUrl",
	"loginPrefix",
	"loginSuffix",
	"ctaPrefix",
	"ctaColor",
	"ctaTextColor",
	"btnShape",
	"skipOption",
	"ttl",
}

const (
	linkStart   = "truecallersdk://truesdk/web_verify?"
	maxLink     = 8 << 10 // bytes
	maxWarnings = 20
	minTTL      = 8 * time.Second
)

// ParseLink parses a link as the app on a phone does. It fails if the link opens
// nothing. Warnings are about what a phone ignores or may misread; a good link has
// none.
func ParseLink(raw string) (l Link, warnings []string, err error) {
	query, ok := strings.CutPrefix(raw, linkStart)
	switch {
	case !ok:
		return Link{}, nil, fmt.Errorf("%w: it does not begin with %s", errLink, linkStart)
	case len(raw) > maxLink:
		return Link{}, nil, fmt.Errorf("%w: it has %d bytes", errLink, len(raw))
	}
	warn := func(format string, args ...any) {
		if len(warnings) < maxWarnings {
			warnings = append(warnings, fmt.Sprintf(format, args...))
		}
	}
	if at := strings.IndexByte(query, '#'); at >= 0 {
		warn("everything after the first # is a fragment and lost: write %%23")
		query = query[:at]
	}
	if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r > '~' }) {
		warn("it has white space or other characters that must be percent-encoded")
	}
	values, err := readQuery(query, warn)
	if err != nil {
		return Link{}, nil, err
	}
	l = Link{
		Nonce:        values["requestNonce"],
		PartnerKey:   values["partnerKey"],
		PartnerName:  values["partnerName"],
		Lang:         values["lang"],
		LoginPrefix:  values["loginPrefix"],
		LoginSuffix:  values["loginSuffix"],
		CTAPrefix:    values["ctaPrefix"],
		CTAColor:     values["ctaColor"],
		CTATextColor: values["ctaTextColor"],
		BtnShape:     values["btnShape"],
		SkipOption:   values["skipOption"],
		PrivacyURL:   values["privacyUrl"],
		TermsURL:     values["termsUrl"],
	}
	switch length := utf8.RuneCountInString(l.Nonce); {
	case values["type"] != "btmsheet":
		return Link{}, nil, fmt.Errorf("%w: type is %.40q, not btmsheet", errLink, values["type"])
	case length < 8 || length > 64:
		return Link{}, nil, fmt.Errorf("%w: requestNonce has %d characters, not 8 to 64", errLink, length)
	case l.PartnerKey == "" || l.PartnerName == "":
		return Link{}, nil, fmt.Errorf("%w: partnerKey and partnerName must be there", errLink)
	}
	if !consistsOf(l.Nonce, base64URL) {
		warn("requestNonce has other characters than those of base64url")
	}
	l.check(values["ttl"], warn)
	slices.Sort(warnings)
	return l, warnings, nil
}

// readQuery parses the parameters.
func readQuery(query string, warn func(string, ...any)) (map[string]string, error) {
	values := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if !slices.Contains(parameters, name) {
			warn("%.40q is not known", name)
			continue
		}
		if strings.Contains(value, "+") {
			warn("%s: a plus is not read as a space everywhere; write %%20", name)
		}
		decoded, err := url.PathUnescape(value)
		if err != nil {
			return nil, fmt.Errorf("%w: %s is not percent-encoded", errLink, name)
		}
		if _, twice := values[name]; twice {
			warn("%s stands in it twice; the first counts", name)
			continue
		}
		if !utf8.ValidString(decoded) {
			warn("%s is not UTF-8", name)
			decoded = strings.ToValidUTF8(decoded, "\ufffd")
		}
		if strings.ContainsFunc(decoded, unicode.IsControl) {
			warn("%s has line breaks or other control characters in it", name)
		}
		if decoded == "" {
			warn("%s is empty", name)
		}
		values[name] = decoded
	}
	return values, nil
}

// check removes what the phone ignores.
func (l *Link) check(ttl string, warn func(string, ...any)) {
	for _, word := range []struct {
		name  string
		value *string
		known map[string]string
	}{
		{"loginPrefix", &l.LoginPrefix, prefixTexts},
		{"loginSuffix", &l.LoginSuffix, suffixTexts},
		{"ctaPrefix", &l.CTAPrefix, buttonTexts},
		{"skipOption", &l.SkipOption, skipTexts},
		{"btnShape", &l.BtnShape, map[string]string{"round": "", "rect": ""}},
	} {
		if _, ok := word.known[*word.value]; *word.value != "" && !ok {
			warn("%s: %.40q is not known", word.name, *word.value)
			*word.value = ""
		}
	}
	for _, color := range []struct {
		name  string
		value *string
	}{{"ctaColor", &l.CTAColor}, {"ctaTextColor", &l.CTATextColor}} {
		if c := *color.value; c != "" && (len(c) != 7 || c[0] != '#' || !consistsOf(c[1:], hex)) {
			warn("%s: %.40q is not a colour", color.name, c)
			*color.value = ""
		}
	}
	for _, address := range []struct {
		name  string
		value *string
	}{{"privacyUrl", &l.PrivacyURL}, {"termsUrl", &l.TermsURL}} {
		if u, err := url.Parse(*address.value); *address.value != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			warn("%s: %.80q is not an https address", address.name, *address.value)
			*address.value = ""
		}
	}
	if l.Lang != "" && !slices.Contains(languages, l.Lang) {
		warn("lang: %.40q is shown in English", l.Lang)
		l.Lang = "en"
	}
	if ttl != "" {
		ms, err := strconv.ParseUint(ttl, 10, 31)
		if err != nil {
			warn("ttl: %.40q is not a number of milliseconds", ttl)
			return
		}
		if l.TTL = time.Duration(ms) * time.Millisecond; l.TTL < minTTL {
			warn("ttl: %s is raised to %s", l.TTL, minTTL)
			l.TTL = minTTL
		}
	}
}
