package provider

import (
	"time"

	"calleridp/provider/account"
)

// Aged is a sealed authorization request as it would be if it had been made at
// another time.
func Aged(p *Provider, sealed string, by time.Duration) string {
	q := new(authRequest)
	if err := p.unseal(purposeRequest, sealed, q); err != nil {
		panic(err)
	}
	q.Until += int64(by / time.Second)
	sealed, err := p.seal(purposeRequest, q)
	if err != nil {
		panic(err)
	}
	return sealed
}

// AgedLogout is the same for a sealed logout request.
func AgedLogout(p *Provider, sealed string, by time.Duration) string {
	q := new(logoutRequest)
	if err := p.unseal(purposeLogout, sealed, q); err != nil {
		panic(err)
	}
	q.Until += int64(by / time.Second)
	sealed, err := p.seal(purposeLogout, q)
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
	if err := p.unseal(purposeConsent, sealed, q); err != nil {
		panic(err)
	}
	q.Until += int64(by / time.Second)
	sealed, err := p.seal(purposeConsent, q)
	if err != nil {
		panic(err)
	}
	return sealed
}

// Stored is what a person gets of a record.
func Stored(p *Provider, record account.Record) ([]byte, error) { return p.stored(record, time.Now()) }
