// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"fmt"
	"slices"
	"strings"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// mode is a response mode: how a response, or its error, reaches the client (OAuth 2.0
// Multiple Response Types §2.1, Form Post Response Mode §2).
type mode string

const (
	modeQuery    mode = "" // the default of the type code
	modeFragment mode = "fragment"
	modeFormPost mode = "form_post"
)

// modes are the values of response_mode, for the discovery document.
var modes = []string{"query", string(modeFragment), string(modeFormPost)}

// parseMode returns the mode of a request's response. It needs no valid response_type,
// because the error of an invalid one is sent in that mode as well; the mode that it
// returns beside an error is that of the error. A type with a token is never sent in a
// query (Multiple Response Types §3, §5).
func parseMode(responseMode, responseType, redirectURI string) (mode, error) {
	usual := modeQuery
	if client.InFront(responseType) {
		usual = modeFragment
	}
	switch responseMode {
	case "":
		return usual, nil
	case "query":
		if usual != modeQuery {
			return usual, invalidRequest("response_mode query cannot carry a token; use fragment or form_post")
		}
		return modeQuery, nil
	case string(modeFragment):
		return modeFragment, nil
	case string(modeFormPost):
		if endpoint.WebOrigin(redirectURI) == "" {
			return usual, invalidRequest("response_mode form_post needs a redirect_uri of http or https, to which a form can be posted")
		}
		return modeFormPost, nil
	}
	return usual, invalidRequest("response_mode is not one of " + strings.Join(modes, ", "))
}

// parseResponseType returns the response type of a request: unsupported_response_type
// where the deployment has it not, unauthorized_client where the client may not use it
// (RFC 6749 §4.1.2.1, §4.2.2.1).
func parseResponseType(text string, c client.Client, here client.Deployment) (client.ResponseType, error) {
	if text == "" {
		return "", invalidRequest("response_type is missing")
	}
	t, known := client.ParseResponseType(text)
	switch {
	case !known || !here.AllowsResponseType(t):
		unsupported := oidc.Error{ErrorType: "unsupported_response_type"}
		return "", unsupported.WithDescription("%s", "response_type must be "+supported(here))
	case !c.AllowsResponseType(t):
		return "", oidc.ErrUnauthorizedClient().WithDescription("the client is not registered for response_type %s", t)
	}
	return t, nil
}

// supportedTypes returns the response types that a deployment has turned on, in their
// usual order.
func supportedTypes(here client.Deployment) []string {
	var types []string
	for _, t := range client.ResponseTypes {
		if here.AllowsResponseType(t) {
			types = append(types, string(t))
		}
	}
	return types
}

func supported(here client.Deployment) string {
	types := supportedTypes(here)
	if len(types) == 1 {
		return types[0]
	}
	return "one of " + strings.Join(types, ", ")
}

// checkNonce refuses a request without a nonce whose response has an ID token, which
// nothing else would bind to the browser (OpenID Connect Core §3.2.2.1, §3.3.2.11).
func checkNonce(q *request) error {
	switch {
	case len(q.Nonce) > maxNonce:
		return invalidRequest(fmt.Sprintf("nonce is longer than %d bytes", maxNonce))
	case q.responseType().IDToken() && q.Nonce == "":
		return invalidRequest("nonce is missing: response_type " + string(q.responseType()) + " requires it")
	}
	return nil
}

// withoutOffline returns the scopes of what the authorization endpoint gives by itself:
// no refresh token comes from there (RFC 6749 §4.2.2, OpenID Connect Core §11).
func withoutOffline(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return scope == oidc.ScopeOfflineAccess })
}
