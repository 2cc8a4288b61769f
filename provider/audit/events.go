// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"log/slog"
	"slices"
	"strings"
)

// Name is the stable name of an event. Programs that read the audit may rely on
// it.
type Name string

// Description is what the catalogue says of one event.
type Description struct {
	Name  Name
	Level slog.Level
	Keys  []string // in the order in which a log line has them; "?" after a key: left out if empty
	// Per are the keys by which Sums tells lines of the event apart. It writes the first
	// of those that agree in all these keys, and counts the others. Only an event that
	// costs something limited has none, such as an attempt or the access of an operator.
	Per  []string
	Text string // for operators
}

func keys(list string) []string { return strings.Fields(list) }

// Events is the catalogue: every event that the program records, except TrailEvents.
var Events = slices.Concat(attemptEvents, clientEvents, deviceEvents, sessionEvents, signalEvents, operatorEvents)
