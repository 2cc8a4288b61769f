// SPDX-License-Identifier: Apache-2.0

// Package pagetest holds what the tests of several rooms check on a page.
package pagetest

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
)

// Shop is a client.
var Shop = endpoint.ClientView{
	ID:        "shop",
	Name:      "Lingon Market",
	URI:       "https://shop.example/",
	TOSURI:    "https://shop.example/terms",
	PolicyURI: "https://shop.example/privacy",
}

// AttemptID is the id of Attempt.
const AttemptID = login.ID("abcdefghijklmnopqrstuv")

// Attempt returns an attempt of the shop that waits for its approval.
func Attempt() authorize.AttemptView {
	return authorize.AttemptView{
		ID:         AttemptID,
		State:      login.Waiting,
		Number:     "+46•••••0605",
		Client:     Shop,
		Created:    time.Now(),
		Expires:    time.Now().Add(5 * time.Minute),
		AgainAt:    time.Now().Add(5 * time.Minute),
		FormAction: "https://shop.example",
	}
}

// OneTapLink returns a link as truecaller.App.DeepLink makes it.
func OneTapLink(lang string) string {
	return "truecallersdk://truesdk/web_verify?type=btmsheet&partnerName=A%26B&lang=" + lang
}

// AndroidAgent is the User-Agent of Chrome on an Android phone.
const AndroidAgent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36"

// Draw returns the response of one of the pages to a GET request. Each header is a
// name and a value.
func Draw(path string, page func(http.ResponseWriter, *http.Request), headers ...[2]string) *httptest.ResponseRecorder {
	r, response := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
	for _, h := range headers {
		r.Header.Set(h[0], h[1])
	}
	page(response, r)
	return response
}

// Want fails the test unless the response has the status and its body all parts.
func Want(t *testing.T, response *httptest.ResponseRecorder, status int, parts ...string) {
	t.Helper()
	if response.Code != status {
		t.Errorf("got status %d, want %d", response.Code, status)
	}
	Contains(t, response.Body.String(), parts...)
}

// Contains fails the test unless the page has all parts.
func Contains(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(page, part) {
			t.Errorf("got a page without %q:\n%s", part, page)
		}
	}
}

// WantSeeOther fails the test unless the response redirects to an address.
func WantSeeOther(t *testing.T, response *httptest.ResponseRecorder, to string) {
	t.Helper()
	if got := response.Header().Get("Location"); response.Code != http.StatusSeeOther || got != to {
		t.Errorf("got %d to %q, want 303 to %q\n%s", response.Code, got, to, response.Body)
	}
}

var (
	tags       = regexp.MustCompile(`<(/?)([a-z0-9]+)((?:\s+[a-zA-Z-]+(?:="[^"<]*")?)*)\s*/?>`)
	attributes = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
	references = regexp.MustCompile(`(?:for|aria-describedby)="([^"]*)"`)
	void       = map[string]bool{"meta": true, "link": true, "input": true, "img": true, "br": true, "hr": true, "path": true, "rect": true, "circle": true}
)

// WellFormed fails the test unless a page's tags nest, nothing else looks like a tag,
// ids are unique and all references to them resolve.
func WellFormed(t *testing.T, name, html string) {
	t.Helper()
	body, ok := strings.CutPrefix(html, "<!doctype html>\n")
	if !ok {
		t.Errorf("%s has no doctype", name)
	}
	if rest := tags.ReplaceAllString(body, ""); strings.ContainsAny(rest, "<>") {
		t.Errorf("%s has a stray < or >: %s", name, rest)
	}
	ids := map[string]bool{}
	var open []string
	for _, m := range tags.FindAllStringSubmatch(body, -1) {
		end, tag := m[1] == "/", m[2]
		switch {
		case end && (len(open) == 0 || open[len(open)-1] != tag):
			t.Errorf("%s: </%s> closes %v", name, tag, open)
			return
		case end:
			open = open[:len(open)-1]
			continue
		case !void[tag]:
			open = append(open, tag)
		}
		seen := map[string]bool{}
		for _, a := range attributes.FindAllStringSubmatch(m[3], -1) {
			if seen[a[1]] {
				t.Errorf("%s: <%s> has %s twice", name, tag, a[1])
			}
			seen[a[1]] = true
			switch {
			case a[1] == "id" && ids[a[2]]:
				t.Errorf("%s: the id %s occurs twice", name, a[2])
			case a[1] == "id":
				ids[a[2]] = true
			case a[1] == "style" || strings.HasPrefix(a[1], "on"):
				t.Errorf("%s: %s= is forbidden by the CSP", name, a[1])
			}
		}
	}
	if len(open) > 0 {
		t.Errorf("%s leaves %v open", name, open)
	}
	for _, m := range references.FindAllStringSubmatch(body, -1) {
		for id := range strings.FieldsSeq(m[1]) {
			if !ids[id] {
				t.Errorf("%s refers to the id %s, which is not there", name, id)
			}
		}
	}
}
