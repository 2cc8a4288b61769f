// SPDX-License-Identifier: Apache-2.0

package login

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/provider/redact"
)

// What each note makes of an attempt. An empty state is an error, and the attempt
// is as it was.
func TestApply(t *testing.T) {
	later := began.Add(time.Minute)
	accepted := Note{Kind: NoteAccepted, At: later, RequestID: "r1"}
	invoked := Note{Kind: NoteInvoked, At: later, App: "main", RequestID: "r1"}
	token := Note{Kind: NoteToken, At: later, App: "main", RequestID: "r1", Delivery: "d2"}
	with := func(n Note, change func(*Note)) Note { change(&n); return n }
	native := func(a *Attempt) { a.Method = Native }
	for _, row := range []struct {
		what   string
		from   State
		change func(*Attempt)
		note   Note
		want   State
		check  func(Attempt) bool
	}{
		{
			what: "a push that was taken", from: Pushing, note: accepted, want: Waiting,
			check: func(a Attempt) bool { return a.RequestID == "r1" && !a.Undeliverable },
		},
		{
			what: "a push without a requestId", from: Pushing, want: Waiting,
			note:  with(accepted, func(n *Note) { n.RequestID = "" }),
			check: func(a Attempt) bool { return a.RequestID == "" },
		},
		{
			what: "a push to a number without an account", from: Pushing, want: Waiting,
			note:  with(accepted, func(n *Note) { n.Undeliverable = true }),
			check: func(a Attempt) bool { return a.Undeliverable },
		},
		{
			what: "a callback has overtaken the response", from: TokenReceived, note: accepted, want: TokenReceived,
			change: func(a *Attempt) { a.RequestID = "theirs" },
			check:  func(a Attempt) bool { return a.RequestID == "r1" },
		},
		{
			what: "the approval has overtaken the response", from: Approved, note: accepted, want: Approved,
			check: func(a Attempt) bool { return a.RequestID == "" },
		},
		{what: "a requestId that is too long", from: Pushing, note: with(accepted, func(n *Note) { n.RequestID = redact.Text(strings.Repeat("r", 257)) })},
		{what: "the attempt has expired", from: Pushing, note: with(accepted, func(n *Note) { n.At = began.Add(5 * time.Minute) })},
		{what: "the attempt was rejected", from: Rejected, note: accepted},
		{
			what: "the dialog is open", from: Waiting, note: invoked, want: Waiting,
			check: func(a Attempt) bool { return a.Invoked.Equal(later) },
		},
		{what: "the dialog was open before", from: Waiting, note: invoked, change: func(a *Attempt) { a.Invoked = began }},
		{what: "the dialog of another app", from: Waiting, note: with(invoked, func(n *Note) { n.App = "other" })},
		{what: "the dialog after the token", from: TokenReceived, note: invoked},
		{
			what: "a token", from: Waiting, note: token, want: TokenReceived,
			check: func(a Attempt) bool { return a.RequestID == "r1" && reflect.DeepEqual(a.Trying, []string{"d2"}) },
		},
		{
			what: "a second token", from: TokenReceived, note: token, want: TokenReceived,
			check: func(a Attempt) bool { return reflect.DeepEqual(a.Trying, []string{"d1", "d2"}) },
		},
		{
			what: "the same token again", from: TokenReceived, note: with(token, func(n *Note) { n.Delivery = "d1" }), want: TokenReceived,
			check: func(a Attempt) bool { return reflect.DeepEqual(a.Trying, []string{"d1"}) },
		},
		{what: "a token of another request", from: Waiting, note: token, change: func(a *Attempt) { a.RequestID = "other" }},
		{what: "a native code was taken", from: Created, note: Note{Kind: NoteExchanged, At: later}, change: native, want: TokenReceived},
		{what: "no native attempt", from: Created, note: Note{Kind: NoteExchanged, At: later}},
		{what: "an unknown kind", from: Waiting, note: Note{Kind: "unknown", At: later}},
	} {
		t.Run(row.what, func(t *testing.T) {
			a := attemptIn(t, row.from)
			if row.change != nil {
				row.change(&a)
			}
			before := a
			err := a.Apply(row.note)
			switch {
			case row.want == "" && (err == nil || !reflect.DeepEqual(a, before)):
				t.Errorf("got %v, %+v; want an error and no change", err, a)
			case row.want != "" && (err != nil || a.State != row.want):
				t.Errorf("got %s, %v; want %s", a.State, err, row.want)
			case row.check != nil && !row.check(a):
				t.Errorf("got %+v", a)
			}
		})
	}
}

// A sealed outcome opens for the browser that started the attempt, and holds
// nothing that can be read.
func TestOutcome(t *testing.T) {
	const browser BrowserSecret = "the browser's secret"
	a := attemptIn(t, Done)
	a.Browser = hashOf(browser)
	if _, err := a.OutcomeFor(browser); !errors.Is(err, ErrState) {
		t.Errorf("an attempt without an outcome: got %v, want ErrState", err)
	}
	o := NewOutcome()
	if again := NewOutcome(); o.Code == again.Code || o.Session == again.Session || o.GrantID == again.GrantID || o.SID == again.SID {
		t.Errorf("two outcomes share a secret")
	}
	var err error
	if a.Outcome, err = o.seal(a.ID, browser); err != nil {
		t.Fatal(err)
	}
	if got, err := a.OutcomeFor(browser); err != nil || got != o {
		t.Errorf("got another outcome, %v", err)
	}
	for _, secret := range []string{string(o.Code), string(o.Session), o.GrantID, o.SID} {
		if len(secret) < 22 || strings.Contains(string(a.Outcome), secret) {
			t.Errorf("a secret of %d characters is short, or stored as it is", len(secret))
		}
	}
	if _, err := a.OutcomeFor("another browser's secret"); !errors.Is(err, ErrNotYours) {
		t.Errorf("another browser: got %v, want ErrNotYours", err)
	}
	// Not even if the record is changed to be another browser's, or another attempt's.
	stolen := a
	stolen.Browser = hashOf("another browser's secret")
	if got, err := stolen.OutcomeFor("another browser's secret"); err == nil {
		t.Errorf("another browser's record opens: %+v", got)
	}
	moved := a
	moved.ID = "another"
	if got, err := moved.OutcomeFor(browser); err == nil {
		t.Errorf("another attempt's record opens: %+v", got)
	}
}
