// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/clientauth"
	"calleridp/provider/grant"
	"calleridp/provider/idtoken"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact/leak"
	"calleridp/provider/session"
)

// A secret, and a hash by which a store finds one, prints as a mark, however it is
// printed and whatever holds it.
func TestInvariant10_SecretsPrintAsMarks(t *testing.T) {
	const secret = leak.Secret
	hash := leak.Hash()
	for what, v := range map[string]any{
		"session.Secret":             session.Secret(secret),
		"session.SecretHash":         session.SecretHash(hash),
		"session.Session":            session.Session{Secret: hash},
		"login.BrowserSecret":        login.BrowserSecret(secret),
		"login.Attempt":              login.Attempt{Browser: hash, Form: hash, Correlation: hash, RequestID: secret},
		"login.Outcome":              login.Outcome{Code: secret, Session: secret},
		"login.FinishRequest":        login.FinishRequest{Browser: secret, Outcome: login.Outcome{Code: secret}},
		"login.PushRequest":          login.PushRequest{Browser: secret, Form: secret},
		"login.OneTapRequest":        login.OneTapRequest{Browser: secret, Nonce: secret},
		"login.Note":                 login.Note{RequestID: secret},
		"login.NativeRequest":        login.NativeRequest{Code: secret, Verifier: secret},
		"authorize.Submission":       authorize.Submission{Request: secret, Challenge: secret, Devices: []string{secret}},
		"authorize.OneTapSubmission": authorize.OneTapSubmission{Request: secret, Nonce: secret},
		"authorize.Reopening":        authorize.Reopening{Request: secret},
		"limit.Holder":               limit.Holder{Browser: hash},
		"limit.Spend":                limit.Spend{Before: append(limit.Spend{}.Before, hash)},
		"grant.CodeHash":             grant.CodeHash(hash),
		"grant.TokenHash":            grant.TokenHash(hash),
		"grant.Code":                 grant.Code{Hash: hash},
		"grant.CodeUse":              grant.CodeUse{Verifier: secret, Access: hash},
		"grant.RefreshUse":           grant.RefreshUse{Access: hash},
		"client.Client":              client.Client{SecretHashes: append(client.Client{}.SecretHashes, hash)},
		"clientauth.Credentials":     clientauth.Credentials{Secret: secret},
		"idtoken.SignIn":             idtoken.SignIn{AccessToken: secret},
	} {
		leak.Check(t, what, v)
	}
}
