// SPDX-License-Identifier: Apache-2.0

package page

import (
	"strconv"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/login"
)

// AppendStatus appends what the waiting page's script learns about an attempt, as
// JSON: its state, and in whole seconds its remaining time and the time until the same
// number may get another request.
func AppendStatus(b []byte, v authorize.AttemptView, now time.Time) []byte {
	b = append(b, `{"state":"`...)
	b = append(b, shownState(v.State)...)
	b = append(b, `","seconds":`...)
	b = strconv.AppendInt(b, int64(seconds(now, v.Expires)), 10)
	b = append(b, `,"again":`...)
	b = strconv.AppendInt(b, int64(seconds(now, v.AgainAt)), 10)
	if v.Opened {
		b = append(b, `,"opened":true`...)
	}
	if v.State.Terminal() && v.State != login.Done {
		b = append(b, `,"outcome":"`...)
		b = append(b, outcome(v)...)
		b = append(b, '"')
	}
	return append(b, '}')
}

// shownState returns the state that a page may show. From the submission of the number
// to its approval that is waiting: no page reveals how far Truecaller has got
// (invariant 7).
func shownState(s login.State) login.State {
	switch s {
	case login.Created, login.Pushing, login.TokenReceived:
		return login.Waiting
	}
	return s
}
