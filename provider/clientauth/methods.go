// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"slices"

	"calleridp/provider/client"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Confidential returns the methods of confidential clients, for the discovery
// document.
func Confidential() []oidc.AuthMethod {
	return []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethod(client.AuthSecretJWT), oidc.AuthMethodPrivateKeyJWT}
}

// All returns the methods of all clients, for the discovery document.
func All() []oidc.AuthMethod { return append(Confidential(), oidc.AuthMethodNone) }

// Algorithms returns those of client assertions, for the discovery document.
func Algorithms() []jose.SignatureAlgorithm {
	return slices.Concat(client.KeyAlgorithms, client.SecretAlgorithms)
}
