package truecaller

import (
	"errors"
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
	// WithoutPush says that nobody can be asked by their number through this app.
	WithoutPush bool

	API *url.URL // base of the push API, https://api4.truecaller.com

	// Profiles are the bases that a token may be sent to; the first is used
	// when a callback names no endpoint (invariant 5).
	Profiles []*url.URL
}

// NativeOnly says whether the app is of use to native applications alone: no
// browser's person can be asked through it, and nobody calls back.
func (a App) NativeOnly() bool {
	return a.NativeClientID != "" && a.WithoutPush && a.OneTap == nil
}

// Validate says all that makes the app unusable or unsafe, joined. Addresses
// must be https, or http on loopback, where a simulator is.
func (a App) Validate() error {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("truecaller: app %q: "+format, append([]any{a.ID}, args...)...))
	}
	if a.ID == "" || strings.ContainsFunc(a.ID, func(r rune) bool { return !isPathSafe(r) }) {
		problem("the id must be letters, digits, '-', '_' or '.', because it is in the callback address")
	}
	var bases []*url.URL
	if !a.NativeOnly() {
		if !isBearer(a.Key) {
			problem("the appKey is empty, or has characters that no header can carry")
		}
		if len(a.CallbackSecrets) == 0 {
			problem("there is no callback secret, so that nobody could call back")
		}
		if len(a.Profiles) == 0 {
			problem("there is no profile host")
		}
		bases = append([]*url.URL{a.API}, a.Profiles...)
	}
	for _, secret := range a.CallbackSecrets {
		if secret == "" || strings.ContainsFunc(secret, func(r rune) bool { return !isPathSafe(r) }) {
			problem("a callback secret is empty, or has other characters than letters, digits, '-', '_' and '.'")
		}
	}
	if a.OneTap != nil {
		for _, mistake := range a.OneTap.Mistakes() {
			problem("one-tap: %s %s", mistake.Field, mistake.Text)
		}
	}
	if a.NativeClientID != "" {
		bases = append(bases, a.OAuth)
		if !isBearer(a.NativeClientID) {
			problem("the OAuth client id has other than visible ASCII characters")
		}
	}
	for _, base := range bases {
		if err := validBase(base); err != nil {
			problem("%w", err)
		}
	}
	return errors.Join(problems...)
}

func validBase(base *url.URL) error {
	switch {
	case base == nil || base.Hostname() == "":
		return errors.New("an address is missing")
	case base.User != nil || base.RawQuery != "" || base.Fragment != "" || base.Opaque != "":
		return fmt.Errorf("%s has more than scheme, host, port and path", base.Redacted())
	case base.Scheme != "https" && !(base.Scheme == "http" && isLoopback(base.Hostname())):
		return fmt.Errorf("%s must be https, because secrets are sent there", base)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isPathSafe: RFC 3986's unreserved characters but '~'.
func isPathSafe(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
}

// Format writes the app without its secrets, for every verb (invariant 10).
func (a App) Format(f fmt.State, _ rune) { io.WriteString(f, "Truecaller app "+a.ID) }

// LogValue is the app without its secrets (invariant 10).
func (a App) LogValue() slog.Value { return slog.StringValue(a.ID) }
