// SPDX-License-Identifier: Apache-2.0

package account

import (
	"net/http"
	"time"

	"calleridp/provider/endpoint"
	"calleridp/provider/session"
)

// Pages draws the account pages. Package ui implements it. Each method writes the
// whole response, status included.
type Pages interface {
	// Account is the account page.
	Account(w http.ResponseWriter, r *http.Request, v AccountView)
	// AccountStep is a page that the account page leads to.
	AccountStep(w http.ResponseWriter, r *http.Request, v AccountStepView)
}

// AccountView is what the account page shows.
type AccountView struct {
	Name       string // from the profile; "" for none
	Number     string // masked
	NumberLost bool   // it belongs to another user now

	Sessions     []SessionView     // this browser's first, then the latest used
	Applications []ApplicationView // the latest used first

	Token string      // for every form
	Did   AccountDeed // what the user has just done; "" for nothing
}

// SessionView is a browser in which the user is signed in.
type SessionView struct {
	ID       string
	Device   session.Device
	Country  string // ISO 3166-1 alpha-2; "" when it is unknown
	Created  time.Time
	LastUsed time.Time
	Here     bool // this browser
}

// ApplicationView is an application that has access.
type ApplicationView struct {
	Client   endpoint.ClientView
	Open     string // where a sign-in begins at the client, see endpoint.InitiateLogin; "" for none
	Scopes   []string
	Since    time.Time
	LastUsed time.Time
}

// AccountDeed names the sentence for what was done.
type AccountDeed string

// The deeds.
const (
	DidRevoke  AccountDeed = "revoke"
	DidSignOut AccountDeed = "signout"
)

// AccountStep names a page that the account page leads to.
type AccountStep string

// The steps.
const (
	StepDownload AccountStep = "download"
	StepDelete   AccountStep = "delete"
	StepDeleted  AccountStep = "deleted" // the page after the deletion
)

// AccountStepView is what such a page shows.
type AccountStepView struct {
	Step   AccountStep
	Number string // masked
	Token  string // for the form
}
