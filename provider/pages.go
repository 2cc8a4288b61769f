package provider

import (
	"context"
	"errors"
	"net/http"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/login"
)

// Pages draws what a person sees. The provider decides, the pages only show;
// package ui implements it. Each method writes the whole response, with its
// status.
type Pages interface {
	// SignIn is the page with the number field.
	SignIn(w http.ResponseWriter, r *http.Request, v SignInView)
	// Consent asks whether a client may have what it asks for (OpenID Connect
	// Core §3.1.2.4).
	Consent(w http.ResponseWriter, r *http.Request, v ConsentView)
	// FormPost carries an authorization response to the client by a form
	// (OAuth 2.0 Form Post Response Mode).
	FormPost(w http.ResponseWriter, r *http.Request, action string, fields [][2]string)
	// ConfirmSignOut asks whether to sign out (OpenID Connect RP-Initiated
	// Logout §2).
	ConfirmSignOut(w http.ResponseWriter, r *http.Request, v SignOutView)
	// SignedOut says that it is done.
	SignedOut(w http.ResponseWriter, r *http.Request, v SignedOutView)
	// Account is the account page.
	Account(w http.ResponseWriter, r *http.Request, v AccountView)
	// AccountStep is a page of what the account page leads to.
	AccountStep(w http.ResponseWriter, r *http.Request, v AccountStepView)
	// Error says what went wrong, when there is no client to tell.
	Error(w http.ResponseWriter, r *http.Request, v ErrorView)
}

// ClientView is what a page may say about the client.
type ClientView struct {
	ID, Name, LogoURI, URI, TOSURI, PolicyURI string
	Accent                                    *client.Accent // nil: the operator's
	// Own says that it is no client: the person signs in to their account here.
	// The rest is empty then.
	Own bool
}

// SignInView is what the sign-in page shows.
type SignInView struct {
	Client    ClientView
	App       string   // the name under which Truecaller shows the request on the phone
	Request   string   // the sealed authorization request, for the form
	Phone     string   // what the person typed before, or the login_hint, as it is
	Region    string   // default region of the number field, ISO 3166-1 alpha-2; "" when nobody has said
	Countries []string // regions that the list of countries starts with
	UILocales []string // what the client asked for, best first (BCP 47)
	// FormAction is the origin (scheme://host:port) or scheme ("com.example:")
	// of the redirect URI, which the page's CSP must allow as a form-action,
	// because browsers apply it to the redirects after a form too.
	FormAction string
	Problem    *Problem     // why the page is shown again; nil at first
	Tries      *login.Tries // what the browser's network has left; nil while that is plenty

	// Challenge is what the browser must solve before it may submit; nil for
	// nothing.
	Challenge *ChallengeView

	// WithoutPush says that no number can be asked: only the one-tap link works.
	WithoutPush bool
	// OneTap is the link for Android phones; nil where there is none.
	OneTap *OneTapView
}

// OneTapView is a link that opens Truecaller on the same phone. The click that
// opens it posts Nonce to PathOneTap as well, which starts the attempt.
type OneTapView struct {
	Nonce string                   // sealed, for the form; it starts one attempt
	Link  func(lang string) string `json:"-"` // the link for a page in this language (BCP 47)
}

// ChallengeView is a challenge for the browser: find a decimal number whose
// digits, written after Seed, have a SHA-256 that starts with Bits zero bits.
// Sealed goes into the form as it is, the number as its solution.
type ChallengeView struct {
	Sealed string
	Seed   string // ASCII
	Bits   int
	// Without is when no challenge will be asked for any more, if nothing more
	// happens; zero: one always is.
	Without time.Time
}

// Problem is a mistake or refusal that the sign-in page explains.
type Problem struct {
	Kind    ProblemKind
	RetryAt time.Time // for Locked, Limited and Unavailable: when it may be tried again; for Unsolved: when without a challenge
}

// ProblemKind names the sentence that the page shows. The statuses: mistakes in
// the number are 422, PhoneConfirm is 200, Locked, Limited and Unsolved are 429,
// Unavailable is 503.
type ProblemKind string

// The problems. The first eight are the mistakes of phone.ParseError.
const (
	PhoneEmpty       ProblemKind = "phone_empty"        // nothing was typed
	PhoneNotANumber  ProblemKind = "phone_not_a_number" // letters, an e-mail address
	PhoneTooShort    ProblemKind = "phone_too_short"
	PhoneTooLong     ProblemKind = "phone_too_long"
	PhoneCountry     ProblemKind = "phone_country" // unknown country code
	PhoneInvalid     ProblemKind = "phone_invalid" // no such number in that country
	PhoneLandline    ProblemKind = "phone_landline"
	PhoneNeedsRegion ProblemKind = "phone_needs_region" // a national number, and no default region
	PhoneConfirm     ProblemKind = "phone_confirm"      // no mistake: it was read in a country that was guessed
	Locked           ProblemKind = "locked"             // a request to this number is open
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
	Number     string       // masked; "" as long as it is not known (one-tap)
	Client     ClientView
	UILocales  []string
	Expires    time.Time
	AgainAt    time.Time    // when another request may be sent to the same number
	Tries      *login.Tries // what was left for the number after this one; nil while that is plenty
	FormAction string       // as in SignInView

	// Opened says that Truecaller's dialog is open on the phone.
	Opened bool
	// WithoutPush says that no number can be typed instead.
	WithoutPush bool
	// Link opens that dialog (one-tap); nil for other methods.
	Link func(lang string) string `json:"-"`
}

// ConsentView is what the consent page shows.
type ConsentView struct {
	Client     ClientView
	Request    string   // the sealed request, for the form
	Scopes     []string // what the client asks for, in the order of claims.Scopes
	Number     string   // who is signed in, masked
	UILocales  []string
	FormAction string // as in SignInView
}

// SignOutView is what the sign-out question shows. Request is the sealed logout
// request, for the form.
type SignOutView struct {
	Client    ClientView // zero when the request names none
	Request   string
	UILocales []string
	// FormAction is the origin of the post_logout_redirect_uri, "" for none.
	FormAction string
}

// SignedOutView is what the page after signing out shows.
type SignedOutView struct {
	Client    ClientView
	UILocales []string
}

// ErrorKind chooses the fixed sentence of an error page.
type ErrorKind string

// The kinds of error pages, with their statuses.
const (
	ErrorBadRequest       ErrorKind = "bad_request"        // 400, a request that no client of ours makes
	ErrorUnknownClient    ErrorKind = "unknown_client"     // 400
	ErrorRedirectURI      ErrorKind = "redirect_uri"       // 400
	ErrorRequestExpired   ErrorKind = "request_expired"    // 400, the sealed request is too old
	ErrorNotYourBrowser   ErrorKind = "not_your_browser"   // 403 (invariant 2)
	ErrorNotFound         ErrorKind = "not_found"          // 404
	ErrorMethodNotAllowed ErrorKind = "method_not_allowed" // 405
	ErrorFinished         ErrorKind = "finished"           // 410, the attempt was used already
	ErrorTooLarge         ErrorKind = "too_large"          // 413
	ErrorCrossOrigin      ErrorKind = "cross_origin"       // 403, a form of another site
	ErrorInternal         ErrorKind = "internal"           // 500
)

// ErrorView is what an error page shows. Correlation is on the page and in the
// log, where the cause is (invariant 10). Detail is for the application's
// developer and is shown only in development.
type ErrorView struct {
	Kind        ErrorKind
	Status      int
	Correlation string
	Detail      string
	UILocales   []string
}

// Response is an authorization response on its way to the client: a redirect or
// a form post, with iss always in it (RFC 9207).
type Response struct {
	RedirectURI string
	Params      [][2]string
	FormPost    bool
}

// Finished is what continuing an approved attempt gives: the response for the
// client, or the question that comes before it, and the cookie of the browser's
// new session.
type Finished struct {
	Response Response
	Consent  *ConsentView // nil for none
	Session  string       // the cookie's secret
	Expires  time.Time
}

// Submission is the sign-in form, as a browser sent it.
type Submission struct {
	Request string // the sealed authorization request
	Phone   string // as typed
	Region  string // country chosen on the page, "" for the default
	Guessed bool   // nobody chose Region: the page proposed it, and did not show the number in it
	Browser string // the browser cookie's secret, always present: the handler makes one when the browser has none
	Network string // the client address, reduced by limit.NetworkOf
	// UserAgent is the browser's own word about itself, from which only the family
	// is kept.
	UserAgent string

	Challenge string // ChallengeView.Sealed; "" when the page had none
	Solution  string // what the browser found, "" for nothing
}

// OneTapSubmission is the one-tap form, as a browser sent it.
type OneTapSubmission struct {
	Request string // the sealed authorization request
	Nonce   string // OneTapView.Nonce
	Browser string // as in Submission, like the rest
	Network string

	UserAgent string
}

// OneTapStarted is what the one-tap form has started.
type OneTapStarted struct {
	Attempt login.ID
	// OtherLink says that the page's link is not the attempt's, because an earlier
	// attempt has had it. The waiting page has the right one.
	OtherLink bool
}

// Flow is what the pages' handlers may do with a sign-in. *Provider implements
// it; package ui declares what it needs of it.
type Flow interface {
	// Submit starts an attempt and asks Truecaller to push. When it returns a
	// *Refusal, the page is shown again with what was typed. ErrRequestExpired
	// and ErrBadRequest are error pages.
	Submit(ctx context.Context, s Submission) (login.ID, error)

	// StartOneTap starts an attempt whose link the browser opens. Repeated while
	// that attempt is live it is the same one, and afterwards another one, with
	// another link. Its errors are those of Submit.
	StartOneTap(ctx context.Context, s OneTapSubmission) (OneTapStarted, error)

	// NewOneTap is another link for the sealed request of a page that is still
	// open, because a nonce is good for one attempt. nil where there is none.
	NewOneTap(ctx context.Context, request string) (*OneTapView, error)

	// View returns what a page may show. ErrNotYours when browser is not the
	// one that started it, login.ErrNotFound when there is no such attempt.
	View(ctx context.Context, id login.ID, browser string) (AttemptView, error)

	// Watch watches an attempt for a browser, "" for none. It costs nothing
	// durable. The caller looks at View after each hint.
	Watch(id login.ID, browser string) login.Watcher

	// Continue uses an approved attempt, once (approved -> done).
	// login.ErrState when it is not approved. session is the cookie of the
	// session the browser has now, "" for none; the new one takes its place.
	Continue(ctx context.Context, id login.ID, browser, session string) (Finished, error)

	// Cancel ends the attempt by the person's wish; harmless when it has ended.
	Cancel(ctx context.Context, id login.ID, browser string) error

	// Again returns the sign-in page for the attempt's request, to start
	// another attempt for it.
	Again(ctx context.Context, id login.ID, browser string) (SignInView, error)

	// Leave returns the access_denied response for the client of an attempt
	// that ended without success.
	Leave(ctx context.Context, id login.ID, browser string) (Response, error)

	// Reopen writes once more the page whose form holds a sealed request, or an
	// error page. It changes nothing.
	Reopen(w http.ResponseWriter, r *http.Request, page Reopening)
}

// Refusal is why a submission started nothing. View is the page to show again.
type Refusal struct {
	Problem Problem
	View    SignInView
}

func (e *Refusal) Error() string { return "provider: sign-in refused: " + string(e.Problem.Kind) }

// Errors of Flow.
var (
	// ErrNotYours says that the browser is not the one that started the attempt
	// (invariant 2).
	ErrNotYours = errors.New("provider: the attempt belongs to another browser")
	// ErrRequestExpired says that the sealed request is too old.
	ErrRequestExpired = errors.New("provider: the sealed request has expired")
	// ErrBadRequest says that the sealed request does not open.
	ErrBadRequest = errors.New("provider: the sealed request does not open")
)
