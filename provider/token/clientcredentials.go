// SPDX-License-Identifier: Apache-2.0

package token

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/signals"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

func checkClientCredentials(endpoint.Parameters) error { return nil }

// clientCredentials gives a receiver of signals an access token for its stream (RFC 6749
// §4.4). No other client has anything to do here without a user. There is no refresh token
// (§4.4.3).
func (e *Endpoint) clientCredentials(_ *http.Request, c client.Client, in endpoint.Parameters) (*response, error) {
	if !c.Signals || c.Public {
		return nil, oidc.ErrUnauthorizedClient().WithDescription("the client is not registered as a receiver of signals")
	}
	scopes := strings.Fields(in.Get("scope"))
	if len(scopes) == 0 {
		scopes = signals.Scopes // RFC 6749 §3.3: a default, which docs/signals.md names
	}
	if i := slices.IndexFunc(scopes, func(s string) bool { return !slices.Contains(signals.Scopes, s) }); i >= 0 {
		return nil, oidc.ErrInvalidScope().WithDescription("scope must be of %s", strings.Join(signals.Scopes, ", "))
	}
	access := signals.Access{ClientID: c.ID, Scopes: scopes, Issued: time.Now()}
	return &response{
		AccessToken: string(signals.NewToken(e.signalMAC, access)),
		TokenType:   oidc.BearerToken,
		ExpiresIn:   int64(signals.TokenLife / time.Second),
		Scope:       strings.Join(scopes, " "),
	}, nil
}

// signalMAC authenticates the access tokens of receivers.
func (e *Endpoint) signalMAC(parts ...[]byte) [32]byte {
	return e.cfg.Master.MAC(keys.PurposeSignalToken, parts...)
}

// errUnrevocable refuses to revoke the token of a receiver, which is not stored (RFC 7009
// §2.2.1): it lasts ten minutes, or until the client is no receiver any more.
func errUnrevocable() error {
	return endpoint.NewRefusal(http.StatusBadRequest, &oidc.Error{
		ErrorType:   "unsupported_token_type",
		Description: "access tokens of receivers are not revoked: they expire within ten minutes",
	})
}
