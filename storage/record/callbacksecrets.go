// SPDX-License-Identifier: Apache-2.0

package record

import (
	"slices"
	"time"

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

// Valid returns the secrets that are valid at now: the current one until now plus grace.
func (r *CallbackSecret) Valid(now time.Time, grace time.Duration) []truecaller.OldSecret {
	valid := slices.DeleteFunc(slices.Clone(r.Old), func(o truecaller.OldSecret) bool { return !now.Before(o.Until) })
	return append(valid, truecaller.OldSecret{Hash: r.Current, Until: now.Add(grace)})
}

func (r *CallbackSecret) fields(c *codec, _ byte) {
	hash(c, &r.Current)
	list(c, &r.Old, func(c *codec, o *truecaller.OldSecret) {
		hash(c, &o.Hash)
		c.time(&o.Until)
	})
}
