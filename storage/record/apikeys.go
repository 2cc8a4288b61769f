// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
	"calleridp/provider/apikey"
)

// APIKeys are found by their ID.
var APIKeys = Kind{Name: "api_keys", purpose: keys.PurposeAPIKeyRecord, version: 1, expires: true, empty: empty[APIKey]}

// APIKey is an apikey.Key.
type APIKey apikey.Key

func (k *APIKey) fields(c *codec, _ byte) {
	text(c, &k.ID)
	hash(c, &k.Hash)
	text(c, &k.Name)
	list(c, &k.Scopes, text[apikey.Scope])
	text(c, &k.By)
	c.time(&k.Created)
	c.time(&k.Expires)
	c.time(&k.LastUsed)
}
