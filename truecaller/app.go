// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
)

// App is one registration in Truecaller's developer portal. It prints without
// its secrets.
type App struct {
	ID   string // our name for it, used in the callback path and by clients
	Name string // what the phone shows
	Key  string // the appKey (partnerKey); a secret where only push is used

	// NativeClientID is the app's OAuth client id, for native applications; "":
	// the app has none. It is public.
	NativeClientID string
	// OAuth is the base of the OAuth interface,
	// https://oauth-account-noneu.truecaller.com; nil where NativeClientID is "".
	OAuth *url.URL

	// What follows is for the other methods, and missing where NativeOnly.

	// CallbackSecrets are the secret last segments of the callback path at the
	// start, all of them good until Receiver.UseSecret says otherwise.
	CallbackSecrets []string

	// OneTap is the dialog of one-tap links; nil: the app offers none.
	OneTap *Dialog
	// WithoutPush says that this app sends no pushes.
	WithoutPush bool

	API *url.URL // base of the push API, https://api4.truecaller.com

	// Profiles are the bases that a token may be sent to; the first is used
	// when a callback names no endpoint (invariant 5).
	Profiles []*url.URL
}

// NativeOnly reports whether the app serves native applications alone: no sign-in in a
// browser can use it, and it gets no callbacks.
func (a App) NativeOnly() bool {
	return a.NativeClientID != "" && a.WithoutPush && a.OneTap == nil
}

// Validate returns what makes the app unusable or unsafe, nil for a valid one.
// Fields are named as in App. URLs must be https, or http on loopback, where a
// simulator listens.
func (a App) Validate() FieldErrors {
	var invalid FieldErrors
	refuse := func(field, reason string) {
		if reason != "" {
			invalid = append(invalid, FieldError{Field: field, Reason: reason})
		}
	}
	switch {
	case a.ID == "":
		refuse("ID", "missing; it is part of the callback URL")
	case !isPathSegment(a.ID):
		refuse("ID", fmt.Sprintf("must be letters, digits, '-', '_' and '.', because it is part of the callback URL (got %q)", a.ID))
	}
	if !a.NativeOnly() {
		if !isBearer(a.Key) {
			refuse("Key", "must be the appKey alone, without spaces or other characters that no header can carry")
		}
		if len(a.CallbackSecrets) == 0 {
			refuse("CallbackSecrets", "missing; Truecaller calls back at a secret path")
		}
		if len(a.Profiles) == 0 {
			refuse("Profiles", "missing; a token may be sent to configured hosts only")
		}
		refuse("API", checkBase(a.API))
		for i, base := range a.Profiles {
			refuse(fmt.Sprintf("Profiles[%d]", i), checkBase(base))
		}
	}
	for i, secret := range a.CallbackSecrets {
		if !isPathSegment(secret) {
			refuse(fmt.Sprintf("CallbackSecrets[%d]", i), "must be letters, digits, '-', '_' and '.'")
		}
	}
	if a.OneTap != nil {
		for _, e := range a.OneTap.Validate() {
			refuse("OneTap."+e.Field, e.Reason)
		}
	}
	if a.NativeClientID != "" && !isBearer(a.NativeClientID) {
		refuse("NativeClientID", fmt.Sprintf("%q has spaces or characters that no client id has", a.NativeClientID))
	}
	if a.NativeClientID != "" || a.OAuth != nil {
		refuse("OAuth", checkBase(a.OAuth))
	}
	return invalid
}

// checkBase returns why a base URL is refused, "" if it is not.
func checkBase(base *url.URL) (reason string) {
	switch {
	case base == nil:
		return "missing"
	case base.Hostname() == "":
		return fmt.Sprintf("%q is not a URL like https://api4.truecaller.com", base.Redacted())
	case base.User != nil || base.RawQuery != "" || base.Fragment != "" || base.Opaque != "":
		return fmt.Sprintf("%q must be scheme, host, port and path only", base.Redacted())
	case base.Scheme != "https" && !(base.Scheme == "http" && IsLoopback(base.Hostname())):
		return fmt.Sprintf("%q must be https, because secrets are sent there", base)
	}
	return ""
}

// IsLoopback reports whether a URL's host is this machine: localhost or a
// loopback address.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isPathSegment reports whether s may be one segment of the callback path.
func isPathSegment(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isPathSafe(r) })
}

// isPathSafe: RFC 3986's unreserved characters but '~'.
func isPathSafe(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
}

// Format writes the app without its secrets, for every verb (invariant 10).
func (a App) Format(f fmt.State, _ rune) { io.WriteString(f, "Truecaller app "+a.ID) }

// LogValue is the app without its secrets (invariant 10).
func (a App) LogValue() slog.Value { return slog.StringValue(a.ID) }

// MarshalText and MarshalBinary keep the secrets out of what is encoded.
func (a App) MarshalText() ([]byte, error)   { return []byte(a.ID), nil }
func (a App) MarshalBinary() ([]byte, error) { return a.MarshalText() }
