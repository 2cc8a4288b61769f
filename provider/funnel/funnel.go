// SPDX-License-Identifier: Apache-2.0

// Package funnel counts how far sign-ins come and how long their approval takes, by the
// hour and by the day, for the operators' console.
//
//	funnel.go   the counts, and what an engine stores of them
//	counter.go  counting in memory, and writing once a minute
//
// Counts hold a step, a method and a reason from fixed lists, and nothing of a user,
// client or number. Each server adds what it has seen to the same records, so they are
// those of the whole deployment.
package funnel

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// Step is how far a sign-in has come.
type Step string

// The steps. A sign-in passes the first six from top to bottom, without those that its
// method does not have, and ends at one of the last three if it does not finish. Limited
// and Unavailable are tries that did not start.
const (
	Started  Step = "started"
	Pushed   Step = "pushed"   // Truecaller took the push, or may have
	Opened   Step = "opened"   // Truecaller's dialog is open on the phone
	Returned Step = "returned" // a callback has brought a token, or a native application its code
	Approved Step = "approved"
	Finished Step = "finished" // the browser is back, or a native application has its tokens

	Declined Step = "declined" // on the phone or in the browser, with the reason
	Failed   Step = "failed"   // with the reason
	Expired  Step = "expired"

	Limited     Step = "limited"     // a lock or a budget refused it
	Unavailable Step = "unavailable" // Truecaller has not been answering
)

// Line is how many sign-ins have reached a step. Reason is "" unless the step has one.
type Line struct {
	Step   Step
	Method string
	Reason string
	N      uint64
}

func (l Line) compare(o Line) int {
	return cmp.Or(cmp.Compare(l.Step, o.Step), cmp.Compare(l.Method, o.Method), cmp.Compare(l.Reason, o.Reason))
}

// Bounds are the upper bounds of the buckets of durations. They are part of the stored
// records: another list needs another version of them.
var Bounds = []time.Duration{
	2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second,
	30 * time.Second, 45 * time.Second, time.Minute, 90 * time.Second, 2 * time.Minute, 3 * time.Minute, 5 * time.Minute,
}

// Times are how long approvals of a method took from the start: Counts[i] took at most
// Bounds[i] and longer than the bound before, the last one longer than every bound.
type Times struct {
	Method string
	Counts []uint64
}

func bucketOf(took time.Duration) int {
	i, _ := slices.BinarySearch(Bounds, took)
	return i
}

// Tally is what was counted in some time. The zero Tally is empty. A Tally that Plus
// returns is in order and has each line once.
type Tally struct {
	Lines []Line
	Times []Times
}

// Empty reports whether nothing was counted.
func (t Tally) Empty() bool { return len(t.Lines) == 0 && len(t.Times) == 0 }

// mostLines bounds a stored record. All steps, methods and reasons together are fewer.
const mostLines = 500

// Plus returns the sum of both.
func (t Tally) Plus(o Tally) Tally {
	lines := slices.SortedFunc(slices.Values(slices.Concat(t.Lines, o.Lines)), Line.compare)
	var sum Tally
	for _, l := range lines {
		switch last := len(sum.Lines) - 1; {
		case last >= 0 && sum.Lines[last].compare(l) == 0:
			sum.Lines[last].N += l.N
		case len(sum.Lines) < mostLines:
			sum.Lines = append(sum.Lines, l)
		}
	}
	for _, times := range slices.SortedStableFunc(slices.Values(slices.Concat(t.Times, o.Times)),
		func(a, b Times) int { return cmp.Compare(a.Method, b.Method) }) {
		last := len(sum.Times) - 1
		if last < 0 || sum.Times[last].Method != times.Method {
			sum.Times = append(sum.Times, Times{Method: times.Method, Counts: make([]uint64, len(Bounds)+1)})
			last++
		}
		for i, n := range times.Counts {
			sum.Times[last].Counts[min(i, len(Bounds))] += n
		}
	}
	return sum
}

// N returns how many sign-ins of a method reached a step, for whatever reason. Method ""
// stands for all methods.
func (t Tally) N(step Step, method string) (n uint64) {
	for _, l := range t.Lines {
		if l.Step == step && (method == "" || l.Method == method) {
			n += l.N
		}
	}
	return n
}

// Durations returns how many approvals of a method fell into each bucket (see Times).
// Method "" stands for all methods.
func (t Tally) Durations(method string) []uint64 {
	counts := make([]uint64, len(Bounds)+1)
	for _, times := range t.Times {
		if method == "" || times.Method == method {
			for i, n := range times.Counts {
				counts[min(i, len(Bounds))] += n
			}
		}
	}
	return counts
}

// Quantile returns within which time the share q of the approvals came, between 0 and 1:
// the upper bound of its bucket. ok is false if there were none, or if it took longer
// than every bound.
func (t Tally) Quantile(q float64, method string) (within time.Duration, ok bool) {
	counts := t.Durations(method)
	var all, passed uint64
	for _, n := range counts {
		all += n
	}
	for i, n := range counts[:len(Bounds)] {
		passed += n
		if n > 0 && float64(passed) >= q*float64(all) {
			return Bounds[i], true
		}
	}
	return 0, false
}

// Unit is how long a period is.
type Unit byte

// The units. They are part of stored keys.
const (
	Hour Unit = 'h'
	Day  Unit = 'd' // of UTC
)

// How long periods are kept after they have ended.
const (
	HoursKept = 14 * 24 * time.Hour
	DaysKept  = 90 * 24 * time.Hour
)

// Length returns how long a period of the unit is.
func (u Unit) Length() time.Duration {
	if u == Day {
		return 24 * time.Hour
	}
	return time.Hour
}

// Of returns the start of the period that holds a time.
func (u Unit) Of(at time.Time) time.Time { return at.UTC().Truncate(u.Length()) }

// Period is what was counted in one hour or day.
type Period struct {
	Unit  Unit
	Start time.Time // in UTC
	Tally
}

// Key returns the key of the stored record. Keys of a unit are in the order of time.
func (p Period) Key() []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(p.Unit)}, uint64(p.Start.Unix()))
}

// Kept returns until when the record is stored.
func (p Period) Kept() time.Time {
	kept := HoursKept
	if p.Unit == Day {
		kept = DaysKept
	}
	return p.Start.Add(p.Unit.Length() + kept)
}

// ErrKey says that a key is not that of a period.
var ErrKey = errors.New("funnel: not the key of a period")

// ParseKey returns the unit and the start that a key names.
func ParseKey(key []byte) (Period, error) {
	if len(key) != 9 || key[0] != byte(Hour) && key[0] != byte(Day) {
		return Period{}, ErrKey
	}
	return Period{Unit: Unit(key[0]), Start: time.Unix(int64(binary.BigEndian.Uint64(key[1:])), 0).UTC()}, nil
}

// Store keeps periods. The storage engines implement it.
type Store interface {
	// AddFunnel adds to what is stored of each period, in one transaction. A period that
	// is not stored yet begins with what is added. No two of add have the same key.
	AddFunnel(ctx context.Context, add []Period) error
	// Funnel returns the stored periods of a unit that start at from or later and before
	// to, in the order of time. Those without a count are missing.
	Funnel(ctx context.Context, unit Unit, from, to time.Time) ([]Period, error)
}
