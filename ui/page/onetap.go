// SPDX-License-Identifier: Apache-2.0

package page

import (
	"html/template"
	"net/http"
	"strings"

	"calleridp/provider/authorize"
)

// oneTap is the link that opens Truecaller on an Android phone, beside the number
// field. With JavaScript, a click opens the link and posts the form at once, because a
// browser opens an app only from within a click; the script then follows the attempt
// (static/onetap.js). Without, the form leads to the attempt's waiting page, which has
// the link.
type oneTap struct {
	Nonce string       // sealed, for the form
	Link  template.URL // truecaller.App.DeepLink makes it from validated parts
}

// oneTapOn returns the link of a sign-in page in the page's language, nil if there is
// none or the browser cannot open it.
func oneTapOn(r *http.Request, v *authorize.OneTapView, lang string) *oneTap {
	if v == nil || !opensTruecaller(r.Header) {
		return nil
	}
	return &oneTap{Nonce: v.Nonce, Link: template.URL(v.Link(lang))}
}

// opensTruecaller reports whether the browser runs on an Android phone or tablet and
// may open Truecaller (docs/truecaller.md section 2). A client hint outweighs the
// User-Agent.
func opensTruecaller(h http.Header) bool {
	agent := h.Get("User-Agent")
	for _, other := range opensNoApp {
		if strings.Contains(agent, other) {
			return false
		}
	}
	if platform := h.Get("Sec-CH-UA-Platform"); platform != "" {
		return strings.Trim(platform, `"`) == "Android"
	}
	return strings.Contains(agent, "Android")
}

// opensNoApp lists parts of the User-Agent of browsers that claim Android and open no
// app: two other systems, and the view inside another app, where the link would
// replace the page by an error.
var opensNoApp = []string{"Windows Phone", "KAIOS", "; wv)"}

// openTruecaller opens the app itself on the phone on which the user presses it. It
// names the package only, because no address of the app is documented except the
// one-tap link's. Systems that do not let a browser open an app like that show the
// app's page in the store, which has a button for it.
const openTruecaller template.URL = "intent:#Intent;action=android.intent.action.MAIN;category=android.intent.category.LAUNCHER;package=com.truecaller;end"
