// SPDX-License-Identifier: Apache-2.0

// Package clock decides what becomes of stored times that lie ahead. A clock that
// was fast, and was put right, leaves them in the store. What they belong to would
// live for as much longer as the clock was wrong, or lock everyone out for as long.
package clock

import "time"

// Tolerance is how far ahead of the clock a stored time may be: a small correction,
// or what the clocks of two servers differ by, must not end what was just created.
const Tolerance = time.Minute

// Ahead reports whether a right clock cannot have written a stored time yet.
func Ahead(stored, now time.Time) bool { return stored.After(now.Add(Tolerance)) }
