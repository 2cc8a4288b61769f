// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/redact"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func number(t *testing.T, digits string) phone.Number {
	t.Helper()
	n, err := phone.FromDigits(digits)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// attemptIn is an attempt as it stands in a state.
func attemptIn(t *testing.T, s State) Attempt {
	a := Attempt{ID: "attempt", Method: Push, State: s, App: "main", Number: number(t, "46701740605"),
		Created: began, Expires: began.Add(5 * time.Minute)}
	switch s {
	case Created:
		a.Number = phone.Number{}
	case TokenReceived:
		a.Trying = []string{"d1"}
	case Approved, Done:
		a.Sub, a.AuthTime = "sub", began
	case Failed:
		a.Reason = Refused
	case Rejected:
		a.Reason = UserRejected
	}
	if s.Terminal() {
		a.Ended = began
	}
	return a
}

// transition is a state transition with everything that it takes but the attempt
// and the time.
type transition struct {
	name string
	take func(*Attempt, time.Time) error
}

func delivery(id, app, requestID string) truecaller.Delivery {
	return truecaller.Delivery{ID: id, App: app, Callback: truecaller.Callback{RequestID: requestID}}
}

func taken(requestID string, now time.Time) Note {
	return Note{Kind: NoteAccepted, At: now, RequestID: redact.Text(requestID)}
}

func undeliverable(now time.Time) Note {
	return Note{Kind: NoteAccepted, At: now, Undeliverable: true}
}

func opened(d truecaller.Delivery, now time.Time) Note {
	return Note{Kind: NoteInvoked, At: now, App: d.App, RequestID: redact.Text(d.RequestID)}
}

// transitions are all of them, with arguments that are right for attemptIn.
func transitions(t *testing.T) []transition {
	n := number(t, "46701740605")
	right := truecaller.Profile{Numbers: []phone.Number{n}}
	wrong := truecaller.Profile{Numbers: []phone.Number{number(t, "46701740606")}}
	inactive := truecaller.Profile{Numbers: []phone.Number{n}, Inactive: true}
	d := delivery("d1", "main", "r1")
	return []transition{
		{"push", func(a *Attempt, now time.Time) error { return a.push(n, now) }},
		{"hand out", func(a *Attempt, now time.Time) error { return a.handOut("r1", now) }},
		{"invoked", func(a *Attempt, now time.Time) error { return a.Apply(opened(d, now)) }},
		{"accepted", func(a *Attempt, now time.Time) error { return a.Apply(taken("r1", now)) }},
		{"undeliverable", func(a *Attempt, now time.Time) error { return a.Apply(undeliverable(now)) }},
		{"refused", func(a *Attempt, now time.Time) error { return a.refused(Unavailable, now) }},
		{"token", func(a *Attempt, now time.Time) error { return a.Apply(tokenNote(d, now)) }},
		{"approve", func(a *Attempt, now time.Time) error { return a.approve(d, right, n, now) }},
		{"mismatch", func(a *Attempt, now time.Time) error { return a.approve(d, wrong, n, now) }},
		{"inactive", func(a *Attempt, now time.Time) error { return a.approve(d, inactive, n, now) }},
		{"no profile", func(a *Attempt, now time.Time) error { return a.profileFailed(d, ProfileFailed, now) }},
		{"decline", func(a *Attempt, now time.Time) error { return a.decline(d, UserRejected, now) }},
		{"cancel", func(a *Attempt, now time.Time) error { return a.cancel(Cancelled, now) }},
		{"use", func(a *Attempt, now time.Time) error { return a.use("g1", now) }},
	}
}

// The whole diagram: where each transition leads from each state. An empty cell is
// ErrState.
func TestTransitions(t *testing.T) {
	states := []State{Created, Pushing, Waiting, TokenReceived, Approved, Done, Rejected, Expired, Failed}
	table := map[string][5]State{ // from the five live states; terminal ones lead nowhere
		"push":          {Pushing, "", "", "", ""},
		"hand out":      {Waiting, "", "", "", ""},
		"invoked":       {"", Pushing, Waiting, "", ""},
		"accepted":      {"", Waiting, Waiting, TokenReceived, Approved},
		"undeliverable": {"", Waiting, Waiting, TokenReceived, Approved},
		"refused":       {"", Failed, "", "", ""},
		"token":         {"", TokenReceived, TokenReceived, TokenReceived, ""},
		"approve":       {"", Approved, Approved, Approved, ""},
		"mismatch":      {"", Failed, Failed, Failed, ""},
		"inactive":      {"", Failed, Failed, Failed, ""},
		"no profile":    {"", Failed, Failed, Failed, ""},
		"decline":       {"", Rejected, Rejected, Rejected, ""},
		"cancel":        {Rejected, Rejected, Rejected, Rejected, Rejected},
		"use":           {"", "", "", "", Done},
	}
	now := began.Add(time.Minute)
	for _, step := range transitions(t) {
		row, ok := table[step.name]
		if !ok {
			t.Fatalf("%s is not in the table", step.name)
		}
		for i, from := range states {
			var want State
			if i < len(row) {
				want = row[i]
			}
			before := attemptIn(t, from)
			a := before
			err := step.take(&a, now)
			switch {
			case want == "" && !errors.Is(err, ErrState):
				t.Errorf("%s from %s: %v, want ErrState", step.name, from, err)
			case want == "" && !reflect.DeepEqual(a, before):
				t.Errorf("%s from %s changed the attempt", step.name, from)
			case want != "" && (err != nil || a.State != want):
				t.Errorf("%s from %s: %s, %v; want %s", step.name, from, a.State, err, want)
			case want != "" && want.Terminal() != !a.Ended.IsZero():
				t.Errorf("%s from %s: ended %v", step.name, from, a.Ended)
			}

			// Past its end every live attempt is expired, whatever State says.
			late := attemptIn(t, from)
			if err := step.take(&late, late.Expires); !errors.Is(err, ErrState) {
				t.Errorf("%s from %s at the end of its time: %v, want ErrState", step.name, from, err)
			}
			late.expire(late.Expires)
			if !from.Terminal() && (late.State != Expired || !late.Ended.Equal(late.Expires)) {
				t.Errorf("%s from %s at the end of its time: %s, ended %v", step.name, from, late.State, late.Ended)
			}
		}
	}
}

func TestArrowsRecordWhy(t *testing.T) {
	want := map[string]Reason{"refused": Unavailable, "mismatch": PhoneMismatch, "inactive": InactiveAccount,
		"no profile": ProfileFailed, "decline": UserRejected, "cancel": Cancelled}
	for _, step := range transitions(t) {
		a := attemptIn(t, Pushing)
		if err := step.take(&a, began); err == nil && a.Reason != want[step.name] {
			t.Errorf("%s: reason %q, want %q", step.name, a.Reason, want[step.name])
		}
	}
}

func TestInvariant6_RequestIDAndAppMustAgree(t *testing.T) {
	rows := []struct {
		known, app, requestID string
		agrees                bool
	}{
		{"r1", "main", "r1", true},
		{"", "main", "r1", true},
		{"r1", "main", "", true},
		{"", "main", "", true},
		{"r1", "main", "r2", false},
		{"r1", "main", "R1", false},
		{"r1", "main", "r1 ", false},
		{"r1", "other", "r1", false},
		{"", "other", "r1", false},
		{"", "main", strings.Repeat("r", 256), true},
		{"", "main", strings.Repeat("r", 257), false},
	}
	for _, row := range rows {
		for _, step := range []string{"token", "approve", "no profile", "decline"} {
			a := attemptIn(t, Waiting)
			a.RequestID = redact.Text(row.known)
			before := a
			d := delivery("d1", row.app, row.requestID)
			var err error
			switch step {
			case "token":
				err = a.Apply(tokenNote(d, began))
			case "approve":
				err = a.approve(d, truecaller.Profile{Numbers: []phone.Number{a.Number}}, a.Number, began)
			case "no profile":
				err = a.profileFailed(d, ProfileFailed, began)
			case "decline":
				err = a.decline(d, UserRejected, began)
			}
			if row.agrees && err != nil || !row.agrees && !errors.Is(err, errMismatch) {
				t.Errorf("%s of %q at %s when %q is known: %v", step, row.requestID, row.app, row.known, err)
			}
			if !row.agrees && !reflect.DeepEqual(a, before) {
				t.Errorf("%s of %q at %s when %q is known changed the attempt", step, row.requestID, row.app, row.known)
			}
		}
	}
}

// The number that was pushed, and no other, approves a push: neither another one of the
// same profile, nor what an application has brought.
func TestInvariant3_AnotherNumberApprovesNoPush(t *testing.T) {
	other := number(t, "46701740606")
	for _, from := range []State{Created, Pushing, Waiting, TokenReceived} {
		a := attemptIn(t, from)
		both := truecaller.Profile{Numbers: []phone.Number{other, a.Number}}
		d := delivery("d1", "main", "r1")
		for what, err := range map[string]error{
			"another number": a.approve(d, both, other, began),
			"natively":       a.approveNative(other, began),
			"exchanged":      a.Apply(Note{Kind: NoteExchanged, At: began}),
			"native failure": a.nativeFailed(ProfileFailed, began),
		} {
			if !errors.Is(err, ErrState) || a.State == Approved || a.State.Terminal() || a.Number == other {
				t.Errorf("%s in %s: got %v, %s with %s; want %v and no approval", what, from, err, a.State, a.Number, ErrState)
			}
		}
	}
}

// A native attempt is approved while it lives, and with a number.
func TestNativeApproval(t *testing.T) {
	n := number(t, "46701740605")
	for _, from := range []State{Created, TokenReceived, Approved, Done, Failed} {
		before := attemptIn(t, from)
		before.Method, before.Number = Native, phone.Number{}
		for what, row := range map[string]struct {
			number phone.Number
			at     time.Time
			ok     bool
		}{
			"its number":      {n, began, from == Created || from == TokenReceived},
			"no number":       {phone.Number{}, began, false},
			"when it is over": {n, before.Expires, false},
		} {
			a := before
			err := a.approveNative(row.number, row.at)
			if row.ok && (err != nil || a.State != Approved || a.Number != n) ||
				!row.ok && (!errors.Is(err, ErrState) || !a.Number.IsZero()) {
				t.Errorf("%s in %s: got %v, %s with %s; want approved %v", what, from, err, a.State, a.Number, row.ok)
			}
		}
	}
}

// A callback that overtook the push's answer and names another request is not
// used once the answer is known.
func TestInvariant6_TheAnswerToThePushIsRight(t *testing.T) {
	a := attemptIn(t, Pushing)
	early := delivery("d1", "main", "theirs")
	if err := a.Apply(tokenNote(early, began)); err != nil {
		t.Fatal(err)
	}
	if err := a.Apply(taken("ours", began)); err != nil {
		t.Fatal(err)
	}
	profile := truecaller.Profile{Numbers: []phone.Number{a.Number}}
	if err := a.approve(early, profile, a.Number, began); !errors.Is(err, errMismatch) {
		t.Errorf("the early callback: %v", err)
	}
	for n, want := range map[int]error{maxRequestID: nil, maxRequestID + 1: ErrState} {
		other := attemptIn(t, Pushing)
		id := strings.Repeat("r", n)
		if err := other.Apply(taken(id, began)); !errors.Is(err, want) || (string(other.RequestID) == id) != (want == nil) {
			t.Errorf("an answer with a requestId of %d characters: %v, want %v", n, err, want)
		}
	}
	if err := a.approve(delivery("d2", "main", "ours"), profile, a.Number, began); err != nil || a.State != Approved {
		t.Errorf("the right one: %v, %s", err, a.State)
	}
}

func TestInvariant3_TheWholeNumberMustBeInTheProfile(t *testing.T) {
	rows := []struct {
		numbers []string
		want    State
	}{
		{[]string{"46701740605"}, Approved},
		{[]string{"46701740606", "46701740605", "919999999999"}, Approved},
		{nil, Failed},
		{[]string{"46701740606"}, Failed},
		{[]string{"701740605"}, Failed},    // its end
		{[]string{"4670174060"}, Failed},   // its beginning
		{[]string{"467017406050"}, Failed}, // more than it
		{[]string{"146701740605"}, Failed}, // more before it
		{[]string{"46701740604", "46701740607"}, Failed},
		{[]string{"14670174060"}, Failed},
	}
	for _, row := range rows {
		a := attemptIn(t, Waiting)
		var p truecaller.Profile
		for _, digits := range row.numbers {
			p.Numbers = append(p.Numbers, number(t, digits))
		}
		if err := a.approve(delivery("d1", "main", ""), p, a.Number, began); err != nil {
			t.Fatal(err)
		}
		if a.State != row.want || a.State == Failed && a.Reason != PhoneMismatch {
			t.Errorf("%v: %s, %s", row.numbers, a.State, a.Reason)
		}
	}
	// No number matches no number.
	a := attemptIn(t, Waiting)
	a.Number = phone.Number{}
	if a.approve(delivery("d1", "main", ""), truecaller.Profile{Numbers: []phone.Number{{}}}, a.Number, began); a.State != Failed {
		t.Errorf("the zero number was approved: %s", a.State)
	}
}

// A callback may come more than once with different tokens: the attempt fails
// when the last of them has failed, and not before.
func TestProfileFailsWithTheLastToken(t *testing.T) {
	first, second := delivery("d1", "main", "r1"), delivery("d2", "main", "r1")
	a := attemptIn(t, Waiting)
	for _, d := range []truecaller.Delivery{first, second} {
		if err := a.Apply(tokenNote(d, began)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.profileFailed(first, ProfileFailed, began); err != nil || a.State != TokenReceived {
		t.Fatalf("after one of two: %v, %s", err, a.State)
	}
	b := a
	if err := a.approve(second, truecaller.Profile{Numbers: []phone.Number{a.Number}}, a.Number, began); err != nil || a.State != Approved {
		t.Errorf("the second token: %v, %s", err, a.State)
	}
	if err := b.profileFailed(second, ProfileFailed, began); err != nil || b.State != Failed || b.Trying != nil {
		t.Errorf("after both: %v, %s, %v", err, b.State, b.Trying)
	}

	c := attemptIn(t, Waiting)
	for i := range 3 * maxTrying {
		if err := c.Apply(tokenNote(delivery(fmt.Sprint(i), "main", ""), began)); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.Trying) != maxTrying {
		t.Errorf("%d deliveries are remembered", len(c.Trying))
	}
	// A hostile endpoint ends it at once (invariant 5).
	if err := c.profileFailed(delivery("0", "main", ""), ForeignEndpoint, began); err != nil || c.State != Failed {
		t.Errorf("foreign endpoint: %v, %s", err, c.State)
	}
}

var rank = map[State]int{Created: 0, Pushing: 1, Waiting: 2, TokenReceived: 3, Approved: 4, Done: 5, Rejected: 5, Expired: 5, Failed: 5}

// Transitions in any order, any number of times, at any time: an attempt only ever
// moves forward, a terminal one never changes, repeating an step at once is
// the same as taking it once, and nothing is approved or used but by the way
// through the diagram.
func TestTransitionsInAnyOrder(t *testing.T) {
	all := transitions(t)
	n := number(t, "46701740605")
	reached := map[State]int{}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 2))
		a := attemptIn(t, Created)
		a.Method = []Method{Push, OneTap}[seed%2]
		now := began
		var trace []string
		for range 25 {
			now = now.Add(time.Duration(random.Int64N(int64(25 * time.Second))))
			next := all[random.IntN(len(all))]
			if random.IntN(4) == 0 { // a callback that is not quite this attempt's
				d := delivery(fmt.Sprint(random.IntN(3)), []string{"main", "other"}[random.IntN(2)], []string{"r1", "r2"}[random.IntN(2)])
				next = transition{fmt.Sprint("stray ", d.ID, d.App, d.RequestID), func(a *Attempt, now time.Time) error {
					return a.approve(d, truecaller.Profile{Numbers: []phone.Number{n}}, n, now)
				}}
			}
			trace = append(trace, fmt.Sprintf("%s@%s", next.name, now.Sub(began)))
			fail := func(format string, args ...any) {
				t.Helper()
				t.Fatalf("seed %d: %s: %s", seed, strings.Join(trace, " "), fmt.Sprintf(format, args...))
			}
			before := a
			before.Trying = slices.Clone(a.Trying)
			after := a
			if err := next.take(&after, now); err != nil {
				continue // stores keep nothing of a step that fails
			}
			a = after
			switch {
			case before.State.Terminal():
				fail("%s is terminal and made the transition", before.State)
			case rank[a.State] < rank[before.State]:
				fail("from %s back to %s", before.State, a.State)
			case !now.Before(a.Expires):
				fail("moved after its end")
			case a.State == Done && before.State != Approved:
				fail("done without approval")
			case a.State == Approved && a.AuthTime.IsZero():
				fail("approved at no time")
			case !before.Invoked.IsZero() && !a.Invoked.Equal(before.Invoked):
				fail("the dialog opened at %v and again at %v", before.Invoked, a.Invoked)
			case before.RequestID != "" && a.RequestID != before.RequestID && next.name != "accepted":
				fail("the requestId changed from %q to %q", string(before.RequestID), string(a.RequestID))
			case a.State.Terminal() == a.Ended.IsZero():
				fail("%s, ended %v", a.State, a.Ended)
			case a.State != TokenReceived && len(a.Trying) > 0:
				fail("%s, and still trying %v", a.State, a.Trying)
			}
			again := a
			again.Trying = slices.Clone(a.Trying)
			if err := next.take(&again, now); err == nil && !reflect.DeepEqual(again, a) {
				fail("repeated, it made %+v of %+v", again, a)
			}
			reached[a.State]++
		}
	}
	for _, s := range []State{Pushing, Waiting, TokenReceived, Approved, Done, Rejected, Failed} {
		if reached[s] == 0 {
			t.Errorf("no walk reached %s: the test shows nothing about it", s)
		}
	}
}

// No secret opens nothing, not even an attempt that has the hash of none.
func TestInvariant2_NoSecretIsNobodys(t *testing.T) {
	a := attemptIn(t, Approved)
	a.Browser = sha256.Sum256(nil)
	if err := a.startedBy(""); !errors.Is(err, ErrNotYours) {
		t.Errorf("startedBy(\"\"): %v", err)
	}
}

func TestPlainStatus(t *testing.T) {
	for in, want := range map[string]string{
		"flow_invoked":          "flow_invoked",
		"call 46701740605\n":    "call?????????????",
		strings.Repeat("a", 90): strings.Repeat("a", 40),
		"":                      "",
	} {
		if got := plainStatus(in); got != want {
			t.Errorf("%q -> %q, want %q", in, got, want)
		}
	}
}
