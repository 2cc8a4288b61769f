// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
	"calleridp/provider/funnel"
)

// Funnel has what was counted of sign-ins, found by funnel.Period.Key.
var Funnel = Kind{Name: "funnel", purpose: keys.PurposeFunnelRecord, version: 1, expires: true, empty: empty[Tally]}

// Tally is a funnel.Tally.
type Tally funnel.Tally

func (t *Tally) fields(c *codec, _ byte) {
	list(c, &t.Lines, func(c *codec, l *funnel.Line) {
		text(c, &l.Step)
		text(c, &l.Method)
		text(c, &l.Reason)
		number(c, &l.N)
	})
	list(c, &t.Times, func(c *codec, times *funnel.Times) {
		text(c, &times.Method)
		list(c, &times.Counts, number[uint64])
	})
}
