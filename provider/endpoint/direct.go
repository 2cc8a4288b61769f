// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Refusal is the error response of an endpoint that clients call (RFC 6749
// §5.2). The OAuth error inside carries the code and the description.
type Refusal struct {
	Status     int
	OAuth      *oidc.Error
	RetryAfter time.Duration // Retry-After (RFC 9110 §10.2.3); 0: none
}

func (e *Refusal) Error() string { return e.OAuth.Error() }

func (e *Refusal) Unwrap() error { return e.OAuth }

// NewRefusal returns a Refusal with a status other than 400.
func NewRefusal(status int, e *oidc.Error) *Refusal { return &Refusal{Status: status, OAuth: e} }

// InvalidRequest refuses with invalid_request.
func InvalidRequest(description string) error {
	return NewRefusal(http.StatusBadRequest, oidc.ErrInvalidRequest().WithDescription("%s", description))
}

// InvalidClient refuses with invalid_client (RFC 6749 §5.2).
func InvalidClient(description string) error {
	return NewRefusal(http.StatusUnauthorized, oidc.ErrInvalidClient().WithDescription("%s", description))
}

// Scheme is how callers of a direct endpoint authenticate, which decides the
// challenge of its error responses.
type Scheme int

// The schemes.
const (
	Client       Scheme = iota // a client authenticates: Basic (RFC 6749 §5.2)
	Bearer                     // an access token: Bearer (RFC 6750 §3)
	Registration               // a token of registration: Bearer, where it is missing or wrong (RFC 7592 §2)
	Receiver                   // a token of a receiver of signals: Bearer, where it is missing, wrong or not enough
)

// Answer is a response with another status than 200.
type Answer struct {
	Status int
	Body   any // nil for none
}

// JWT is a response that is a JWT, in compact form (OpenID Connect Core §5.3.2).
type JWT string

// DirectHandler handles a client's request and returns the response to marshal as
// JSON, a JWT, nil for an empty one, or an error: a *Refusal, an *oidc.Error, which is
// sent with status 400, or an internal one.
type DirectHandler func(w http.ResponseWriter, r *http.Request) (any, error)

// Direct is what the endpoints that clients call themselves have in common (RFC
// 6749 §3.2).
type Direct struct {
	failures Failures
	origins  Origins
}

// NewDirect returns a Direct.
func NewDirect(origins Origins, failures Failures) *Direct {
	return &Direct{failures: failures, origins: origins}
}

// DirectEndpoint describes one of them.
type DirectEndpoint struct {
	Name    string // for the log
	Methods []string
	Scheme  Scheme
	CORS    bool // browser applications may call it
	Handle  DirectHandler
}

// Serve serves an endpoint: its methods, its CORS preflights, parameters out of
// the URL, and error responses with their challenge.
func (d *Direct) Serve(e DirectEndpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		NoStore(w)
		if e.CORS && r.Method == http.MethodOptions {
			d.preflight(w, r, e.Methods)
			return
		}
		out, err := d.handle(w, r, e)
		if err != nil {
			d.refuse(w, r, e, err)
			return
		}
		switch out := out.(type) {
		case Answer:
			writeJSON(w, out.Status, out.Body)
		case JWT:
			h := w.Header()
			h.Set("Content-Type", "application/jwt")
			h.Set("Content-Length", strconv.Itoa(len(out)))
			io.WriteString(w, string(out)) // an error means that the client disconnected
		default:
			writeJSON(w, http.StatusOK, out)
		}
	}
}

func (d *Direct) handle(w http.ResponseWriter, r *http.Request, e DirectEndpoint) (any, error) {
	if !slices.Contains(e.Methods, r.Method) {
		methods := strings.Join(e.Methods, ", ")
		w.Header().Set("Allow", methods)
		return nil, NewRefusal(http.StatusMethodNotAllowed, oidc.ErrInvalidRequest().WithDescription("the method is not one of %s", methods))
	}
	if e.Scheme == Client && leaksInQuery(r.URL.RawQuery) {
		return nil, InvalidRequest("parameters are sent in the body, never in the URL (RFC 6749 sections 2.3.1 and 3.2)")
	}
	return e.Handle(w, r)
}

// secretParameters must never stand in a URL, where logs and histories keep
// them.
var secretParameters = []string{
	"client_secret", "client_assertion", "code", "code_verifier", "refresh_token",
	"token", "access_token", "subject_token", "actor_token", "device_code",
}

func leaksInQuery(query string) bool {
	return query != "" && slices.ContainsFunc(secretParameters, ParseForm(query).Has)
}

// BodyOf reads the body of a direct request as its error response needs it.
func BodyOf(r *http.Request) (Parameters, error) {
	in, err := Body(r)
	switch {
	case errors.Is(err, ErrTooLarge):
		return in, NewRefusal(http.StatusRequestEntityTooLarge, oidc.ErrInvalidRequest().WithDescription("%v", err))
	case err != nil:
		return in, InvalidRequest(err.Error())
	}
	return in, nil
}

// internal hides the cause of an internal failure behind a reference (invariant
// 10).
func (d *Direct) internal(r *http.Request, what string, cause error) *Refusal {
	reference := d.failures.Correlate(r.Context(), what, cause)
	refusal := NewRefusal(http.StatusInternalServerError, oidc.ErrServerError().WithDescription("internal error, reference %s", reference))
	if after, ok := unavailable(cause); ok {
		refusal.Status, refusal.RetryAfter = http.StatusServiceUnavailable, after
	}
	return refusal
}

// unavailable reports whether the cause of a failure goes by, and when to try again.
func unavailable(cause error) (after time.Duration, ok bool) {
	var passing interface{ Unavailable() time.Duration }
	if !errors.As(cause, &passing) {
		return 0, false
	}
	return passing.Unavailable(), true
}

// FailureStatus returns the status of an internal failure: 503, with the header
// Retry-After, if its cause goes by (RFC 9110 §15.6.4), otherwise 500.
func FailureStatus(w http.ResponseWriter, cause error) int {
	after, ok := unavailable(cause)
	if !ok {
		return http.StatusInternalServerError
	}
	w.Header().Set("Retry-After", retryAfter(after))
	return http.StatusServiceUnavailable
}

// retryAfter returns a value of Retry-After, whole seconds.
func retryAfter(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

func (d *Direct) refuse(w http.ResponseWriter, r *http.Request, e DirectEndpoint, err error) {
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		if known, isOAuth := errors.AsType[*oidc.Error](err); isOAuth {
			refusal = NewRefusal(http.StatusBadRequest, known)
		} else {
			refusal = d.internal(r, e.Name, err)
		}
	}
	h := w.Header()
	if refusal.RetryAfter > 0 {
		h.Set("Retry-After", retryAfter(refusal.RetryAfter))
	}
	if challenge := challengeOf(e.Scheme, refusal); challenge != "" {
		h.Set("WWW-Authenticate", challenge)
	}
	writeJSON(w, refusal.Status, struct {
		Error       string `json:"error,omitempty"`
		Description string `json:"error_description,omitempty"`
	}{string(refusal.OAuth.ErrorType), refusal.OAuth.Description})
}

// challengeOf returns the WWW-Authenticate header of an error response: Basic
// where a client authenticates (RFC 6749 §5.2); Bearer at userinfo (RFC 6750 §3),
// which names no error when the request had no token.
func challengeOf(s Scheme, e *Refusal) string {
	switch {
	case s == Registration && e.Status != http.StatusUnauthorized,
		s == Receiver && e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden:
		return ""
	case s == Registration || s == Receiver || s == Bearer && e.Status != http.StatusMethodNotAllowed && e.Status < 500:
		challenge := `Bearer realm="calleridp"`
		if e.OAuth.ErrorType != "" {
			challenge += `, error="` + string(e.OAuth.ErrorType) + `", error_description="` + e.OAuth.Description + `"`
		}
		return challenge
	case e.Status == http.StatusUnauthorized:
		return `Basic realm="calleridp"`
	}
	return ""
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if v == nil {
		w.WriteHeader(status)
		return
	}
	body, err := json.Marshal(v)
	if err != nil { // a plain struct of ours always marshals
		panic(err)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // an error means that the client disconnected
}
