// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
	"calleridp/truecaller/phone"
)

// OperatorKey returns the key in Meta of the user who is bound to an operator's number: a
// Text.
func (s Sealer) OperatorKey(n phone.Number) []byte {
	mac := s.master.MAC(keys.PurposeOperatorHash, []byte(n.Digits()))
	return append([]byte("operator "), mac[:]...)
}
