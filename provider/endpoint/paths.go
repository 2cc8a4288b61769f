// SPDX-License-Identifier: Apache-2.0

package endpoint

// The paths of everything that is served under the issuer. Clients learn the
// protocol's from discovery; the pages' own are private to this program.
const (
	PathDiscovery      = "/.well-known/openid-configuration"
	PathOAuthDiscovery = "/.well-known/oauth-authorization-server"
	PathWebFinger      = "/.well-known/webfinger"
	PathAuthorize      = "/authorize"
	PathToken          = "/token"
	PathUserinfo       = "/userinfo"
	PathIntrospect     = "/introspect"
	PathRevoke         = "/revoke"
	PathJWKS           = "/jwks"
	PathEndSession     = "/logout"
	PathRegister       = "/register" // and, with + "/" + client_id, the client configuration endpoint

	PathSSFDiscovery     = "/.well-known/ssf-configuration"
	PathSSFStreams       = "/ssf/streams"
	PathSSFStatus        = "/ssf/status"
	PathSSFAddSubject    = "/ssf/subjects/add"
	PathSSFRemoveSubject = "/ssf/subjects/remove"
	PathSSFVerify        = "/ssf/verify"
	PathSSFPoll          = "/ssf/poll/" // + stream_id

	PathDeviceAuthorization = "/device_authorization"
	PathDevice              = "/device"         // GET: the page with the field; POST user_code
	PathDeviceConfirm       = "/device/confirm" // POST request=sealed, decision=continue or deny
	PathDeviceDone          = "/device/done"    // GET: the page afterwards
	PathDeviceDenied        = PathDeviceDone + "?did=denied"

	PathCheckSession = "/session" // GET: the page that tells clients' pages of changes

	PathSignOutConfirm = "/logout/confirm" // POST request=sealed: the user confirms
	PathSignedOut      = "/logout/done"    // GET: the page afterwards

	PathConsent = "/consent" // POST request=sealed, decision=allow, deny or another

	PathAccount           = "/account"             // GET
	PathAccountRevoke     = "/account/revoke"      // POST token, client
	PathAccountSignOut    = "/account/signout"     // POST token, session
	PathAccountEverywhere = "/account/signout-all" // POST token
	PathAccountDownload   = "/account/download"    // GET: the confirmation page; POST token: the file
	PathAccountDelete     = "/account/delete"      // GET: the confirmation page; POST token: deletes
	PathAccountDeleted    = "/account/deleted"     // GET: the page afterwards

	PathHome   = "/"           // GET: says what this is
	PathRobots = "/robots.txt" // GET

	PathClientLogo = "/client-logo/" // GET, + client_id + "/" + hash + ".png"

	PathLanguage = "/language" // POST lang, from and what the page needs to be rendered again
	PathSignIn   = "/signin"   // POST request=sealed, phone, region
	PathOneTap   = "/onetap"   // POST request=sealed, nonce=sealed: the one-tap link was opened
	PathAttempt  = "/attempt/" // + id: the waiting page and what follows it
	PathCallback = "/callback/"
)

// The paths behind PathAttempt + id.
const (
	AttemptEvents   = "/events"   // GET, text/event-stream
	AttemptStatus   = "/status"   // GET, JSON {"state": "..."}
	AttemptContinue = "/continue" // GET, to the client
	AttemptCancel   = "/cancel"   // POST
	AttemptAgain    = "/again"    // POST, the sign-in page for another attempt
	AttemptLeave    = "/leave"    // POST, back to the client with access_denied
)
