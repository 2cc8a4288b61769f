// SPDX-License-Identifier: Apache-2.0

package claims

// The authentication context classes (acr, OpenID Connect Core §2): how the user has proved
// that they have the phone with the number. Each is a way to sign in, not an age: a session
// that is used again keeps the class of its sign-in, and auth_time says how old that is.
const (
	// ACRPush: the user typed the number and approved in the Truecaller app on the phone that
	// has it, which may be another device than the browser's.
	ACRPush = "urn:calleridp:acr:push"
	// ACROneTap: the user opened a link of our page and approved in the Truecaller app. That is
	// the browser's device, unless the link was sent to another.
	ACROneTap = "urn:calleridp:acr:onetap"
	// ACRNative: the user approved in Truecaller's dialog over a native application.
	ACRNative = "urn:calleridp:acr:native"
)

// ACRValues are all classes.
var ACRValues = []string{ACRPush, ACROneTap, ACRNative}

// AMR returns the authentication methods of every sign-in (RFC 8176 §2): the user was
// present and answered on their phone.
func AMR() []string { return []string{"user"} }
