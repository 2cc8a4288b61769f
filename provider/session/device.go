// SPDX-License-Identifier: Apache-2.0

package session

import "strings"

// Device is the kind of browser that a user signed in with, by which they recognise
// it. It names families only: it must not tell two computers apart.
type Device struct {
	Browser string // such as Firefox; "" when it is none of the known
	OS      string // such as Android; "" when it is none of the known
}

// maxUserAgent is how much of a User-Agent is read, in bytes.
const maxUserAgent = 512

// family is a word in a User-Agent and what it means.
type family struct{ word, name string }

// The first match counts: most browsers name their ancestors, too.
var (
	browsers = []family{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"},
		{"OPR/", "Opera"}, {"OPiOS/", "Opera"}, {"Opera", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"MiuiBrowser/", "Mi Browser"},
		{"UCBrowser/", "UC Browser"},
		{"YaBrowser/", "Yandex Browser"},
		{"Vivaldi/", "Vivaldi"},
		{"DuckDuckGo/", "DuckDuckGo"}, {"Ddg/", "DuckDuckGo"},
		{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"},
		{"Version/", "Safari"},
	}
	systems = []family{
		{"Windows", "Windows"},
		{"Android", "Android"},
		{"KAIOS/", "KaiOS"},
		{"HarmonyOS", "HarmonyOS"},
		{"iPhone", "iOS"}, {"iPod", "iOS"},
		{"iPad", "iPadOS"},
		{"CrOS", "ChromeOS"},
		{"Macintosh", "macOS"},
		{"Linux", "Linux"}, {"X11", "Linux"},
	}
)

// DeviceOf parses a User-Agent header (RFC 9110 §10.1.5). Browsers choose it freely, so
// it serves recognition and nothing else.
func DeviceOf(userAgent string) Device {
	if len(userAgent) > maxUserAgent {
		userAgent = userAgent[:maxUserAgent]
	}
	return Device{Browser: first(browsers, userAgent), OS: first(systems, userAgent)}
}

func first(families []family, text string) string {
	for _, f := range families {
		if strings.Contains(text, f.word) {
			return f.name
		}
	}
	return ""
}
