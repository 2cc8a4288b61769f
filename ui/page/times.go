// SPDX-License-Identifier: Apache-2.0

package page

import (
	"strconv"
	"time"
)

// delay is the time until a user may try again, for a sentence: minutes up to an
// hour and a half, then hours, both rounded up.
type delay struct{ Minutes, Hours int }

func waitUntil(now, then time.Time) delay {
	left := max(then.Sub(now), time.Second)
	if minutes := int((left-1)/time.Minute) + 1; minutes <= 90 {
		return delay{Minutes: minutes}
	}
	return delay{Hours: int((left-1)/time.Hour) + 1}
}

// seconds returns the time until then, rounded up and never negative.
func seconds(now, then time.Time) int {
	left := then.Sub(now)
	if left <= 0 {
		return 0
	}
	return int((left-1)/time.Second) + 1
}

// clock writes seconds as m:ss.
func clock(seconds int) string {
	b := strconv.AppendInt(make([]byte, 0, 8), int64(seconds/60), 10)
	return string(append(b, ':', byte('0'+seconds%60/10), byte('0'+seconds%10)))
}

// moment is a past time, for a sentence: whole hours up to two days, then days up to
// two months, then months. All three are zero in the first hour.
type moment struct {
	Hours, Days, Months int
	ISO                 string // for the datetime attribute
}

// reads reports whether a sentence says the same of another moment.
func (m moment) reads(other moment) bool {
	return m.Hours == other.Hours && m.Days == other.Days && m.Months == other.Months
}

func momentOf(now, then time.Time) moment {
	m := moment{ISO: then.UTC().Format(time.RFC3339)}
	switch hours := int(max(now.Sub(then), 0) / time.Hour); {
	case hours < 48:
		m.Hours = hours
	case hours < 60*24:
		m.Days = hours / 24
	default:
		m.Months = hours / (24 * 30)
	}
	return m
}
