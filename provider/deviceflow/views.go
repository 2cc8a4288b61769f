// SPDX-License-Identifier: Apache-2.0

package deviceflow

import (
	"net/http"
	"time"

	"calleridp/provider/endpoint"
)

// Pages draws the pages of the device flow. Package ui implements it. Each method writes
// the whole response, status included.
type Pages interface {
	// EnterUserCode is the page with the field for the code.
	EnterUserCode(w http.ResponseWriter, r *http.Request, v EnterView)
	// ConfirmDevice asks the user whether they have started the request.
	ConfirmDevice(w http.ResponseWriter, r *http.Request, v ConfirmView)
	// DeviceDone says that the user goes on at the device.
	DeviceDone(w http.ResponseWriter, r *http.Request, v DoneView)
}

// Problem names why a user code was not accepted.
type Problem string

// The problems.
const (
	// CodeUnknown is of every code that leads nowhere: one that never was, has expired, or
	// was answered. What is different about them is not told.
	CodeUnknown Problem = "code_unknown"
	CodeLimited Problem = "code_limited" // too many tries from this network
)

// EnterView is what the page with the field shows.
type EnterView struct {
	Code    string // that the field starts with
	Problem Problem
	RetryAt time.Time // of CodeLimited
}

// ConfirmView is what the page shows that asks for the user's decision.
type ConfirmView struct {
	Client  endpoint.ClientView
	Request string // sealed, for the form
	Code    string // as the device shows it
	Country string // from which the device asked, ISO 3166-1 alpha-2; "" for unknown
	Network string // from which it asked, masked; "" for unknown
	Here    bool   // this is the network of the user's own browser
}

// DoneView is what the last page shows.
type DoneView struct {
	Denied bool
}
