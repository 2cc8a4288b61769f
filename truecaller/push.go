// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"calleridp/truecaller/phone"
)

// PushFailure is the outcome of a push that Truecaller did not accept.
type PushFailure string

// The kinds of push failures.
const (
	PushAppKeyRejected PushFailure = "appkey_rejected" // 404: the operator configured a wrong appKey
	PushNoAccount      PushFailure = "no_account"      // code 1008: no Truecaller account, or none that takes pushes
	PushRefused        PushFailure = "refused"         // any other 4xx, or a redirect
	PushUnavailable    PushFailure = "unavailable"     // not taken: no connection, 408, 429, 5xx
	PushUnknown        PushFailure = "unknown"         // may have been taken: no response, or no usable one
)

// PushError is every error of Push. It holds no number, state or appKey.
type PushError struct {
	Kind   PushFailure
	App    string // the ID of the Truecaller app
	Status int    // HTTP status, 0 without a response
	Code   int    // Truecaller's own code in the body, 0 without one
	cause  error
}

func (e *PushError) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("truecaller: push: %s: %v", e.Kind, e.cause)
	}
	answer := fmt.Sprintf("status %d", e.Status)
	if e.Code != 0 {
		answer += fmt.Sprintf(", code %d", e.Code)
	}
	if e.Kind == PushAppKeyRejected {
		return fmt.Sprintf("truecaller: Truecaller refused the appKey of app %q (%s): check its app_key in the configuration, "+
			"and in Truecaller's portal that the app is of type Web and approved", e.App, answer)
	}
	return fmt.Sprintf("truecaller: push: %s: %s", e.Kind, answer)
}

func (e *PushError) Unwrap() error { return e.cause }

// Truecaller's own codes, in the body of an error.
const (
	codeBadAppKey = 404
	codeNoAccount = 1008
)

// maxRequestID is the longest requestId that is kept, in bytes (invariant 6).
const maxRequestID = 256

// Admit returns a permit to push for app, or an *Unavailable. Callers get it before
// they write anything for the push.
func (c *Client) Admit(app App) (*Permit, error) { return c.admit(ForPush, app.API.Host) }

// Push makes Truecaller prompt the phone with the number n (docs/truecaller.md
// section 1). permit is that of Admit for app. state, of at most 64 characters, comes
// back in the callback. The requestID is Truecaller's, opaque, 1 to 256 bytes. Every
// error is a *PushError.
//
// Push never sends a request twice, even where HTTP allows it: the phone would ring
// twice.
func (c *Client) Push(ctx context.Context, permit *Permit, app App, n phone.Number, state string) (requestID string, err error) {
	begun := time.Now()
	defer func() { c.asked(ctx, ForPush, permit, begun, err) }()
	// unsent is the error before anything is sent.
	unsent := func(cause error) error { return &PushError{Kind: PushRefused, App: app.ID, cause: cause} }
	if app.API == nil || n.IsZero() {
		return "", unsent(errors.New("a push needs the API's address and a number"))
	}
	body, err := json.Marshal(struct {
		PhoneNumber int64  `json:"phoneNumber"` // a number, without a plus
		State       string `json:"state,omitempty"`
	}{n.Int64(), state})
	if err != nil {
		return "", unsent(err)
	}
	// Before there is a connection nothing can have been sent; after that it is unknown.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	at := app.API.JoinPath("v1/apps/requests").String()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return "", unsent(errors.New("the API's address is not usable"))
	}
	r.GetBody = nil                        // so that the transport cannot send it again
	r.Header["appKey"] = []string{app.Key} // written as documented, not as Appkey
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Cache-Control", "no-cache")

	answer, err := c.http.Do(r)
	if err != nil {
		kind := PushUnavailable
		if connected.Load() {
			kind = PushUnknown
		}
		return "", &PushError{Kind: kind, App: app.ID, cause: withoutURL(err)}
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode != http.StatusOK {
		return "", pushRefusal(app, answer.StatusCode, raw)
	}
	unusable := func(cause error) error {
		return &PushError{Kind: PushUnknown, App: app.ID, Status: answer.StatusCode, cause: cause}
	}
	if err != nil {
		return "", unusable(err)
	}
	var accepted struct {
		RequestID string `json:"requestId"`
	}
	if !utf8.Valid(raw) ||
		json.Unmarshal(raw, &accepted) != nil ||
		accepted.RequestID == "" ||
		len(accepted.RequestID) > maxRequestID {
		return "", unusable(errors.New("the response has no usable requestId"))
	}
	return accepted.RequestID, nil
}

// pushRefusal interprets a response other than 200. The code in the body may differ
// from the status and is more precise (docs/truecaller.md section 1). Without a body
// the status decides.
func pushRefusal(app App, status int, body []byte) *PushError {
	var envelope struct {
		Code scalar `json:"code"`
	}
	json.Unmarshal(body, &envelope)
	code, _ := strconv.Atoi(string(envelope.Code))
	e := &PushError{App: app.ID, Status: status, Code: code}
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		e.Kind = PushUnavailable
	case status < 300:
		e.Kind = PushUnknown // a success that is not the documented one
	case status < 400:
		e.Kind = PushRefused // a redirect, which is not followed
	case code == codeNoAccount:
		e.Kind = PushNoAccount
	case status == http.StatusNotFound, code == codeBadAppKey:
		e.Kind = PushAppKeyRejected
	default:
		e.Kind = PushRefused
	}
	return e
}
