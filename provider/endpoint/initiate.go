// SPDX-License-Identifier: Apache-2.0

package endpoint

import "calleridp/provider/client"

// InitiateLogin returns the address at which a sign-in of this issuer begins at the client
// (OpenID Connect Core §4), "" if it has none. It never has a login_hint: nothing about the
// user goes into an address before they have signed in.
func InitiateLogin(c client.Client, issuer string) string {
	if c.InitiateLoginURI == "" {
		return ""
	}
	return WithParameters(c.InitiateLoginURI, Parameter{Name: "iss", Value: issuer})
}

// RestartError is an error whose page offers to start again at the client.
type RestartError struct {
	Err    error
	Client ClientView
	URL    string // InitiateLogin
}

func (e *RestartError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *RestartError) Unwrap() error { return e.Err }

// Restart returns err, with the way to start again at the client if there is one.
func Restart(err error, c client.Client, issuer string) error {
	url := InitiateLogin(c, issuer)
	if err == nil || url == "" {
		return err
	}
	return &RestartError{Err: err, Client: ViewOf(c), URL: url}
}
