package ui

import (
	"encoding/json"
	"html/template"
	"net/http"
	"strings"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
)

// One-tap on the sign-in page: on an Android phone, a button opens Truecaller
// beside the number field, which is never hidden.
//
// With JavaScript, the click opens the link and posts the form at once, because a
// browser opens an app only from within a click; the script then watches what
// comes of it (static/onetap.js). Without, the form leads to the waiting page of
// the attempt, where the link is.

// oneTapPage is what the sign-in page has of it.
type oneTapPage struct {
	Nonce string       // sealed, for the form
	Link  template.URL // made of validated parts by truecaller.App.DeepLink
}

// opensTruecaller says whether the browser runs on an Android phone or tablet and
// may open Truecaller (docs/truecaller.md section 2). The client hint is right
// where there is one.
func opensTruecaller(h http.Header) bool {
	agent := h.Get("User-Agent")
	for _, other := range strangers {
		if strings.Contains(agent, other) {
			return false
		}
	}
	if platform := h.Get("Sec-CH-UA-Platform"); platform != "" {
		return strings.Trim(platform, `"`) == "Android"
	}
	return strings.Contains(agent, "Android")
}

// strangers are what the User-Agent says of browsers that call themselves Android
// and open no app: two other systems, and the view inside another app, where the
// link would put an error in the place of the page.
var strangers = []string{"Windows Phone", "KAIOS", "; wv)"}

// openTruecaller opens the app itself, on the phone on which it is pressed. It
// names the package and nothing else, because no address of the app is documented
// but the one-tap link's. Where the system lets a browser open no app like that, it
// shows the app's page in the store, which has a button for it.
const openTruecaller template.URL = "intent:#Intent;action=android.intent.action.MAIN;category=android.intent.category.LAUNCHER;package=com.truecaller;end"

// oneTapOn is the link of a sign-in page in the page's language; nil when there is
// none or the browser cannot open it.
func oneTapOn(r *http.Request, v *authorize.OneTapView, lang string) *oneTapPage {
	if v == nil || !opensTruecaller(r.Header) {
		return nil
	}
	return &oneTapPage{Nonce: v.Nonce, Link: template.URL(v.Link(lang))}
}

// startOneTap takes the form that was posted when the link was opened.
func (h handlers) startOneTap(w http.ResponseWriter, r *http.Request) error {
	browser := h.browser(w, r)
	request := r.PostForm.Get("request")
	started, err := h.flow.StartOneTap(r.Context(), authorize.OneTapSubmission{
		Request: request, Nonce: r.PostForm.Get("nonce"), Browser: browser, Network: limit.NetworkOf(h.ClientAddr(r)), UserAgent: r.UserAgent(),
	})
	if err != nil {
		return err
	}
	if r.Header.Get("Accept") != "application/json" {
		h.seeOther(w, endpoint.PathAttempt+string(started.Attempt))
		return nil
	}
	// The page stays where it is. It gets another link, for another try. Only where
	// the link that it has opened is not this attempt's, it must go on to the one
	// that has the right link.
	next, err := h.flow.NewOneTap(r.Context(), request)
	if err != nil {
		return err
	}
	answer := struct {
		Attempt   string `json:"attempt"`
		OtherLink bool   `json:"other_link,omitempty"`
		Nonce     string `json:"nonce,omitempty"`
		Link      string `json:"link,omitempty"`
	}{Attempt: h.base + endpoint.PathAttempt + string(started.Attempt), OtherLink: started.OtherLink}
	if next != nil {
		answer.Nonce, answer.Link = next.Nonce, next.Link(r.PostForm.Get("lang"))
	}
	plainHeaders(w, "application/json")
	json.NewEncoder(w).Encode(answer) // an error means that the browser has gone
	return nil
}
