package clientauth

import "github.com/zitadel/oidc/v3/pkg/oidc"

// Confidential returns the methods of confidential clients, for the discovery
// document.
func Confidential() []oidc.AuthMethod {
	return []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost}
}

// All returns the methods of all clients, for the discovery document.
func All() []oidc.AuthMethod { return append(Confidential(), oidc.AuthMethodNone) }
