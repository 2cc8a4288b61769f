package truecaller

import "net/url"

// App is one registration in Truecaller's developer portal.
type App struct {
	ID   string // our name for it, used in the callback path and by clients
	Name string // what the phone shows
	Key  string // the appKey (partnerKey); a secret where only push is used

	// CallbackSecrets are the secret last segments of the callback path. More
	// than one is alive while a secret is being rotated.
	CallbackSecrets []string

	API *url.URL // base of the push API, https://api4.truecaller.com

	// Profiles are the bases that a token may be sent to; the first is used
	// when a callback names no endpoint (invariant 5).
	Profiles []*url.URL
}
