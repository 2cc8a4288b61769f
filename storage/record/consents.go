// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
	"calleridp/provider/consent"
)

// Consents are found by sub and client id.
var Consents = Kind{Name: "consents", purpose: keys.PurposeConsentRecord, version: 2, empty: empty[Consent]}

// Consent is a consent.Consent.
type Consent consent.Consent

func (k *Consent) fields(c *codec, version byte) {
	text(c, &k.Sub)
	text(c, &k.ClientID)
	texts(c, &k.Scopes)
	c.time(&k.Created)
	c.time(&k.LastUsed)
	if version >= 2 {
		texts(c, &k.Shown)
	}
}
