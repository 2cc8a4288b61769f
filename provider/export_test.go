package provider

import (
	"time"

	"calleridp/keys"
	"calleridp/provider/account"
)

// Aged is a sealed authorization request as it would be if it had been made at
// another time.
func Aged(p *Provider, sealed string, by time.Duration) string {
	q := new(authRequest)
	if err := p.unseal(keys.PurposeAuthorizationRequest, sealed, q); err != nil {
		panic(err)
	}
	q.Until += int64(by / time.Second)
	sealed, err := p.seal(keys.PurposeAuthorizationRequest, q)
	if err != nil {
		panic(err)
	}
	return sealed
}

// AgedLogout is the same for a sealed logout request.
func AgedLogout(p *Provider, sealed string, by time.Duration) string {
	q := new(logoutRequest)
	if err := p.unseal(keys.PurposeLogoutRequest, sealed, q); err != nil {
		panic(err)
	}
	q.Until += int64(by / time.Second)
	sealed, err := p.seal(keys.PurposeLogoutRequest, q)
	if err != nil {
		panic(err)
	}
	return sealed
}

// For fuzzing sealed texts.
var (
	Spliced = spliced
	Splice  = splice
)

// AgedConsent is the same for a sealed question about consent.
func AgedConsent(p *Provider, sealed string, by time.Duration) string {
	q := new(consentRequest)
	if err := p.unseal(keys.PurposeConsentRequest, sealed, q); err != nil {
		panic(err)
	}
	q.Until += int64(by / time.Second)
	sealed, err := p.seal(keys.PurposeConsentRequest, q)
	if err != nil {
		panic(err)
	}
	return sealed
}

// Stored is what a person gets of a record.
func Stored(p *Provider, record account.Record) ([]byte, error) { return p.stored(record, time.Now()) }
