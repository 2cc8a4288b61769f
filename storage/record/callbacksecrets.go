package record

import (
	"calleridp/keys"
	"calleridp/truecaller"
)

// CallbackSecrets are found by the name of their Truecaller app.
var CallbackSecrets = Kind{Name: "callback_secrets", purpose: keys.PurposeCallbackSecretRecord, version: 1, empty: empty[CallbackSecret]}

// CallbackSecret is which secrets open the callback path of an app.
type CallbackSecret struct {
	Current [32]byte
	Old     []truecaller.OldSecret
}

func (r *CallbackSecret) fields(c *codec, _ byte) {
	hash(c, &r.Current)
	list(c, &r.Old, func(c *codec, o *truecaller.OldSecret) {
		hash(c, &o.Hash)
		c.time(&o.Until)
	})
}
