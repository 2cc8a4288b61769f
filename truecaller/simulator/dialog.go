// SPDX-License-Identifier: Apache-2.0

package simulator

import "time"

// Dialog is the app's dialog for a link (docs/truecaller.md section 2).
type Dialog struct {
	Title      string `json:"title"`
	Button     string `json:"button"`           // with the number
	Footer     string `json:"footer,omitempty"` // "" if the link has no skipOption
	Color      string `json:"color,omitempty"`  // of the button, #RRGGBB
	TextColor  string `json:"textColor,omitempty"`
	Round      bool   `json:"round,omitempty"` // the button's shape
	Lang       string `json:"lang,omitempty"`  // the requested language; these texts are English
	PrivacyURL string `json:"privacyUrl,omitempty"`
	TermsURL   string `json:"termsUrl,omitempty"`
	TTL        int64  `json:"ttl,omitempty"` // milliseconds after which the dialog closes by itself
}

// The texts for Truecaller's vocabulary (sections 2.2 and 2.3).
var (
	prefixTexts = map[string]string{
		"getstarted":         "To get started",
		"continue":           "To continue",
		"placeorder":         "To place order",
		"completepurchase":   "To complete your purchase",
		"checkout":           "To checkout",
		"completebooking":    "To complete your booking",
		"proceedwithbooking": "To proceed with your booking",
		"continuewith":       "To continue with your booking",
		"getdetails":         "To get details",
		"viewmore":           "To view more",
		"continuereading":    "To continue reading",
		"proceed":            "To proceed",
	}
	suffixTexts = map[string]string{
		"verifymobile": "please verify mobile no.",
		"login":        "please log in",
		"signup":       "please sign up",
		"loginsignup":  "please log in or sign up",
		"register":     "please register",
		"signin":       "please sign in",
	}
	buttonTexts = map[string]string{"use": "Use", "continuewith": "Continue with", "proceedwith": "Proceed with"}
	skipTexts   = map[string]string{
		"useanothernum":    "Use another number",
		"useanothermethod": "Use another method",
		"manualdetails":    "Enter details manually",
		"later":            "I'll do it later",
	}
)

// dialog returns the link's dialog on the phone with this number.
func (l Link) dialog(number string) *Dialog {
	return &Dialog{
		Title:      joined(prefixTexts[l.LoginPrefix], ", ", suffixTexts[l.LoginSuffix]),
		Button:     joined(buttonTexts[l.CTAPrefix], " ", "+"+number),
		Footer:     skipTexts[l.SkipOption],
		Color:      l.CTAColor,
		TextColor:  l.CTATextColor,
		Round:      l.BtnShape == "round",
		Lang:       l.Lang,
		PrivacyURL: l.PrivacyURL,
		TermsURL:   l.TermsURL,
		TTL:        int64(l.TTL / time.Millisecond),
	}
}

// joined joins two texts, with between only if neither is empty.
func joined(a, between, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + between + b
}
