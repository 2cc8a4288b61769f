package simulator

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Link is what a one-tap link says (truecaller.md section 2.1).
type Link struct {
	Nonce, PartnerKey, PartnerName, Lang         string
	LoginPrefix, LoginSuffix, CTAPrefix          string
	CTAColor, CTATextColor, BtnShape, SkipOption string
	PrivacyURL, TermsURL                         string
	TTL                                          time.Duration // 0: the dialog stays
}

// Texts that the dialog makes of Truecaller's vocabulary (sections 2.2 and 2.3).
var (
	prefixTexts = map[string]string{
		"getstarted": "To get started", "continue": "To continue", "placeorder": "To place order", "completepurchase": "To complete your purchase",
		"checkout": "To checkout", "completebooking": "To complete your booking", "proceedwithbooking": "To proceed with your booking",
		"continuewith": "To continue with your booking", "getdetails": "To get details", "viewmore": "To view more",
		"continuereading": "To continue reading", "proceed": "To proceed",
	}
	suffixTexts = map[string]string{
		"verifymobile": "please verify mobile no.", "login": "please log in", "signup": "please sign up",
		"loginsignup": "please log in or sign up", "register": "please register", "signin": "please sign in",
	}
	buttonTexts = map[string]string{"use": "Use", "continuewith": "Continue with", "proceedwith": "Proceed with"}
	skipTexts   = map[string]string{
		"useanothernum": "Use another number", "useanothermethod": "Use another method",
		"manualdetails": "Enter details manually", "later": "I'll do it later",
	}
	languages = []string{"en", "hi", "mr", "te", "ml", "ur", "pa", "ta", "bn", "kn", "sw", "ar"}
)

const minTTL = 8 * time.Second

// errLink says why the phone would not open a link.
var errLink = errors.New("the phone does not open this link")

// ParseLink reads a link as the app on a phone would. The error is about a link
// that opens nothing; the warnings are about what a phone ignores, or may read in
// another way than was meant: a good link has none.
func ParseLink(raw string) (l Link, warnings []string, err error) {
	query, ok := strings.CutPrefix(raw, "truecallersdk://truesdk/web_verify?")
	if !ok {
		return Link{}, nil, fmt.Errorf("%w: it does not begin with truecallersdk://truesdk/web_verify?", errLink)
	}
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if at := strings.IndexByte(query, '#'); at >= 0 {
		warn("everything after the first # is a fragment and lost: write %%23")
		query = query[:at]
	}
	values := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if strings.Contains(value, "+") {
			warn("%s: a plus is not read as a space everywhere; write %%20", name)
		}
		decoded, err := url.PathUnescape(value)
		switch _, twice := values[name]; {
		case err != nil:
			return Link{}, nil, fmt.Errorf("%w: %s is not percent-encoded", errLink, name)
		case twice:
			warn("%s stands in it twice; the first counts", name)
		case strings.ContainsAny(decoded, "\r\n\t"):
			warn("%s has white space in it", name)
			fallthrough
		default:
			values[name] = decoded
		}
	}
	l = Link{
		Nonce: values["requestNonce"], PartnerKey: values["partnerKey"], PartnerName: values["partnerName"], Lang: values["lang"],
		LoginPrefix: values["loginPrefix"], LoginSuffix: values["loginSuffix"], CTAPrefix: values["ctaPrefix"], CTAColor: values["ctaColor"],
		CTATextColor: values["ctaTextColor"], BtnShape: values["btnShape"], SkipOption: values["skipOption"],
		PrivacyURL: values["privacyUrl"], TermsURL: values["termsUrl"],
	}
	switch {
	case values["type"] != "btmsheet":
		return Link{}, nil, fmt.Errorf("%w: type is %q, not btmsheet", errLink, values["type"])
	case len(l.Nonce) < 8 || len(l.Nonce) > 64:
		return Link{}, nil, fmt.Errorf("%w: requestNonce has %d characters, not 8 to 64", errLink, len(l.Nonce))
	case l.PartnerKey == "" || l.PartnerName == "":
		return Link{}, nil, fmt.Errorf("%w: partnerKey and partnerName must be there", errLink)
	}
	l.check(values["ttl"], warn)
	known := []string{"type", "requestNonce", "partnerKey", "partnerName", "lang", "privacyUrl", "termsUrl", "loginPrefix", "loginSuffix",
		"ctaPrefix", "ctaColor", "ctaTextColor", "btnShape", "skipOption", "ttl"}
	for name := range values {
		if !slices.Contains(known, name) {
			warn("%s is not known", name)
		}
	}
	slices.Sort(warnings)
	return l, warnings, nil
}

// check drops what the phone ignores.
func (l *Link) check(ttl string, warn func(string, ...any)) {
	for _, word := range []struct {
		name  string
		value *string
		known map[string]string
	}{
		{"loginPrefix", &l.LoginPrefix, prefixTexts}, {"loginSuffix", &l.LoginSuffix, suffixTexts}, {"ctaPrefix", &l.CTAPrefix, buttonTexts},
		{"skipOption", &l.SkipOption, skipTexts}, {"btnShape", &l.BtnShape, map[string]string{"round": "", "rect": ""}},
	} {
		if _, ok := word.known[*word.value]; *word.value != "" && !ok {
			warn("%s: %q is not known", word.name, *word.value)
			*word.value = ""
		}
	}
	for _, color := range []struct {
		name  string
		value *string
	}{{"ctaColor", &l.CTAColor}, {"ctaTextColor", &l.CTATextColor}} {
		if c := *color.value; c != "" && (len(c) != 7 || c[0] != '#' || strings.Trim(c[1:], "0123456789abcdefABCDEF") != "") {
			warn("%s: %q is not a colour", color.name, c)
			*color.value = ""
		}
	}
	for _, address := range []struct {
		name  string
		value *string
	}{{"privacyUrl", &l.PrivacyURL}, {"termsUrl", &l.TermsURL}} {
		if u, err := url.Parse(*address.value); *address.value != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			warn("%s: %q is not an https address", address.name, *address.value)
			*address.value = ""
		}
	}
	if l.Lang != "" && !slices.Contains(languages, l.Lang) {
		warn("lang: %q is shown in English", l.Lang)
		l.Lang = "en"
	}
	if ttl != "" {
		ms, err := strconv.ParseUint(ttl, 10, 31)
		if err != nil {
			warn("ttl: %q is not a number of milliseconds", ttl)
			return
		}
		if l.TTL = time.Duration(ms) * time.Millisecond; l.TTL < minTTL {
			warn("ttl: %s is raised to %s", l.TTL, minTTL)
			l.TTL = minTTL
		}
	}
}

// Title is the dialog's first line.
func (l Link) Title() string {
	prefix, suffix := prefixTexts[l.LoginPrefix], suffixTexts[l.LoginSuffix]
	return strings.Trim(strings.TrimSpace(prefix+", "+suffix), ", ")
}

// Button is the text of the dialog's button, before the number.
func (l Link) Button() string { return buttonTexts[l.CTAPrefix] }

// Skip is the text below the button.
func (l Link) Skip() string { return skipTexts[l.SkipOption] }
