// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
)

// Pages draws what a user sees on the way to a client. Package ui implements it.
// Each method writes the whole response, status included.
type Pages interface {
	FormPoster
	// SignIn is the page with the number field.
	SignIn(w http.ResponseWriter, r *http.Request, v SignInView)
	// Consent asks whether a client may have what it requests (OpenID Connect Core
	// §3.1.2.4).
	Consent(w http.ResponseWriter, r *http.Request, v ConsentView)
	// SendAgain is a page that posts a request once more by itself.
	SendAgain(w http.ResponseWriter, r *http.Request, v SendAgainView)
}

// SendAgainView is an authorization request that one of our own pages posts again,
// so that the browser's cookies come with it.
type SendAgainView struct {
	Action    string // a path of ours
	Fields    []endpoint.Parameter
	UILocales []string
	// FormAction is that of SignInView: the response may be a redirect to there.
	FormAction string
}

// SignInView is what the sign-in page shows.
type SignInView struct {
	Client    endpoint.ClientView
	App       string   // the name under which Truecaller shows the request on the phone
	Request   string   // the sealed authorization request, for the form
	Phone     string   // what the user typed before, or the login_hint, unchanged
	Region    string   // default region of the number field, ISO 3166-1 alpha-2; "" when none is configured
	Countries []string // regions that the list of countries starts with
	UILocales []string // what the client requested, best first (BCP 47)
	// FormAction is the origin (scheme://host:port) or scheme ("com.example:")
	// of the redirect URI, which the page's CSP must allow as a form-action,
	// because browsers apply it to the redirects after a form too.
	FormAction string
	Known      *KnownView   // who has signed in last in this browser; nil for none
	Problem    *Problem     // why the page is shown again; nil at first
	Tries      *login.Tries // what the browser's network has left; nil while that is plenty

	// Challenge is what the browser must solve before it may submit; nil for
	// nothing.
	Challenge *ChallengeView

	// WithoutPush means that no number can be pushed to: only the one-tap link works.
	WithoutPush bool
	// OneTap is the link for Android phones; nil where there is none.
	OneTap *OneTapView
}

// KnownView is the user who has signed in last in a browser. The form of their button has
// known and no number.
type KnownView struct {
	Number string // with its last two digits only
	Since  time.Time
}

// OneTapView is a link that opens Truecaller on the same phone. The click that
// opens it posts Nonce to endpoint.PathOneTap as well, which starts the attempt.
type OneTapView struct {
	Nonce string                   // sealed, for the form; it starts one attempt
	Link  func(lang string) string `json:"-"` // the link for a page in this language (BCP 47)
}

// ChallengeView is a challenge for the browser: find a decimal number whose
// digits, written after Seed, have a SHA-256 that starts with Bits zero bits.
// Sealed goes into the form unchanged, the number as its solution.
type ChallengeView struct {
	Sealed string
	Seed   string // ASCII
	Bits   int
	// Without is when no challenge will be needed any more, if nothing else
	// happens; zero: one always is.
	Without time.Time
}

// Problem is a mistake or refusal that the sign-in page explains.
type Problem struct {
	Kind    ProblemKind
	RetryAt time.Time // for Locked, LockedElsewhere, OtherApp, Limited and Unavailable: when it may be tried again; for Unsolved: when without a challenge
	// Of the open attempt, for OtherApp.
	Attempt login.ID
	App     string // the name under which Truecaller shows it on the phone; "" if unknown
}

// ProblemKind names the sentence that the page shows. The statuses: mistakes in
// the number are 422, PhoneConfirm is 200, Locked, LockedElsewhere, OtherApp, Limited
// and Unsolved are 429, Unavailable is 503.
type ProblemKind string

// The problems. The first nine are those of phone.ParseError.
const (
	PhoneEmpty       ProblemKind = "phone_empty"        // nothing was typed
	PhoneNotANumber  ProblemKind = "phone_not_a_number" // letters, an email address
	PhoneTooShort    ProblemKind = "phone_too_short"
	PhoneTooLong     ProblemKind = "phone_too_long"
	PhoneCountry     ProblemKind = "phone_country" // unknown country code
	PhoneInvalid     ProblemKind = "phone_invalid" // no such number in that country
	PhoneLandline    ProblemKind = "phone_landline"
	PhoneNeedsRegion ProblemKind = "phone_needs_region" // a national number, and no default region
	PhoneConfirm     ProblemKind = "phone_confirm"      // no mistake: only the user knows whether SignInView.Phone is meant
	Locked           ProblemKind = "locked"             // this browser has sent a request to this number
	LockedElsewhere  ProblemKind = "locked_elsewhere"   // another browser has, and it may be a stranger's
	OtherApp         ProblemKind = "other_app"          // this browser's request to this number is open at another Truecaller app
	Limited          ProblemKind = "limited"            // too many tries
	Unsolved         ProblemKind = "unsolved"           // the browser must solve a challenge first
	Unavailable      ProblemKind = "unavailable"        // Truecaller does not answer
)

// AttemptView is what the waiting page, and the pages after it, show.
type AttemptView struct {
	ID         login.ID
	Method     login.Method
	App        string       // as in SignInView
	State      login.State  // expired as soon as its time is over
	Reason     login.Reason // for choosing the sentence
	Number     string       // masked; "" as long as it is unknown (one-tap)
	Client     endpoint.ClientView
	UILocales  []string
	Created    time.Time
	Expires    time.Time
	AgainAt    time.Time    // when another request may be sent to the same number
	UnsolvedAt time.Time    // when that takes no solved challenge; zero: it takes none
	AnotherAt  time.Time    // of an ended attempt: when one may be sent to another number; zero: now
	Tries      *login.Tries // what was left for the number after this one; nil while that is plenty
	FormAction string       // as in SignInView

	// Serves names the request that the attempt serves, for Flow.Serves.
	Serves string

	// Opened means that Truecaller's dialog is open on the phone.
	Opened bool
	// WithoutPush means that no number can be typed instead.
	WithoutPush bool
	// Link opens that dialog (one-tap); nil for other methods.
	Link func(lang string) string `json:"-"`
}

// ConsentView is what the consent page shows.
type ConsentView struct {
	Client     endpoint.ClientView
	Request    string   // the sealed request, for the form
	Scopes     []string // what the client requests, in the order of claims.Scopes
	Number     string   // who is signed in, masked
	UILocales  []string
	FormAction string // as in SignInView
}

// Finished is what continuing an approved attempt gives: the response for the
// client, or the consent prompt before it, and the cookie of the browser's new
// session.
type Finished struct {
	Response Response
	Consent  *ConsentView // nil for none
	Session  session.Secret
	State    session.BrowserState // of the session
	Expires  time.Time
	// Browser is the new secret of the browser's cookie; "" keeps the one that it has.
	Browser login.BrowserSecret
}

// Submission is the sign-in form, as a browser sent it.
type Submission struct {
	Request string // the sealed authorization request
	Phone   string // as typed
	// Known is the number of the user whom the browser's device cookie greets, in place of
	// Phone.
	Known   bool
	Region  string // country chosen on the page, "" for the default
	Guessed bool   // Region was not chosen: the page proposed it, and did not show the number in it
	// Confirmed is the number that the page asked about, as it showed it; "" for none.
	Confirmed string
	Browser   login.BrowserSecret   // see Flow.BrowserFor
	Before    []login.BrowserSecret // the secrets that the browser had before
	Network   string                // the client address, reduced by limit.NetworkOf
	// UserAgent is the browser's own description of itself, of which only the family
	// is kept.
	UserAgent string

	Devices   []string // the browser's device cookie, see Flow.Remember; nil for none
	Challenge string   // ChallengeView.Sealed; "" when the page had none
	Solution  string   // what the browser found, "" for nothing
}

// OneTapSubmission is the one-tap form, as a browser sent it.
type OneTapSubmission struct {
	Request string              // the sealed authorization request
	Nonce   string              // OneTapView.Nonce
	Browser login.BrowserSecret // as in Submission, like the rest
	Network string

	UserAgent string
}

// The methods of package redact keep what a browser sends out of logs: its form starts an
// attempt (invariant 10). What prints is a mark for the whole.
func (Submission) String() string                 { return redact.Mark }
func (Submission) Format(f fmt.State, _ rune)     { redact.Format(f) }
func (Submission) LogValue() slog.Value           { return redact.Value() }
func (Submission) MarshalText() ([]byte, error)   { return redact.Encode() }
func (Submission) MarshalBinary() ([]byte, error) { return redact.Encode() }

// The methods of OneTapSubmission are those of Submission.
func (OneTapSubmission) String() string                 { return redact.Mark }
func (OneTapSubmission) Format(f fmt.State, _ rune)     { redact.Format(f) }
func (OneTapSubmission) LogValue() slog.Value           { return redact.Value() }
func (OneTapSubmission) MarshalText() ([]byte, error)   { return redact.Encode() }
func (OneTapSubmission) MarshalBinary() ([]byte, error) { return redact.Encode() }

// OneTapStarted is what the one-tap form has started.
type OneTapStarted struct {
	Attempt login.ID
	// OtherLink means that the page's link is not the attempt's, because an earlier
	// attempt has used it. The waiting page has the right one.
	OtherLink bool
}

// Reopening is a page whose form holds a sealed request, as its browser sent it
// to have the page once more, in another language.
type Reopening struct {
	Request string // sealed: of the sign-in page, the consent page or the sign-out prompt
	Network string // as in Submission

	// What the sign-in page had beside it.
	Phone, Region string
	Problem       *Problem
}

// The methods of Reopening are those of Submission.
func (Reopening) String() string                 { return redact.Mark }
func (Reopening) Format(f fmt.State, _ rune)     { redact.Format(f) }
func (Reopening) LogValue() slog.Value           { return redact.Value() }
func (Reopening) MarshalText() ([]byte, error)   { return redact.Encode() }
func (Reopening) MarshalBinary() ([]byte, error) { return redact.Encode() }

// Refusal is why a submission started nothing. View is the page to show again.
type Refusal struct {
	Problem Problem
	View    SignInView
}

func (e *Refusal) Error() string { return "authorize: sign-in refused: " + string(e.Problem.Kind) }
