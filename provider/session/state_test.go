// SPDX-License-Identifier: Apache-2.0

package session

import (
	"regexp"
	"strings"
	"testing"

	"calleridp/keys"
)

func states(t *testing.T, key byte) States {
	t.Helper()
	m, err := keys.NewMaster([]byte(strings.Repeat(string(key), keys.MasterSize)))
	if err != nil {
		t.Fatal(err)
	}
	return NewStates(m)
}

func TestBrowserState(t *testing.T) {
	a := states(t, 'a')
	one, again, other, elsewhere := a.Of("one"), a.Of("one"), a.Of("other"), states(t, 'b').Of("one")
	if one != again || one == other || one == elsewhere || ParseBrowserState(string(one)) != one {
		t.Errorf("states: got %q, %q, %q and %q, want one for each session and master key, in its form", one, again, other, elsewhere)
	}
	if got := a.Of(""); got != "" {
		t.Errorf("no session: got %q, want none", got)
	}
	for _, value := range []string{"", "x", string(one) + "x", string(one)[1:] + " ", string(one)[1:] + "\u00e5"} {
		if got := ParseBrowserState(value); got != "" {
			t.Errorf("%q: got %q, want none", value, got)
		}
	}
}

// The example was computed with sha256sum and basenc.
func TestSessionState(t *testing.T) {
	const state = BrowserState("sssssssssssssssssssssssssssssssssssssssssss")
	if got, want := state.salted("app", "https://app.example", "salt"), "hqqcG91sIIJ1HMFVBncifYCxSJaBAdqGcTe34Gxhpyw.salt"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	form := regexp.MustCompile(`^[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{22}$`)
	seen := map[string]bool{}
	for _, b := range []BrowserState{state, state, "", ""} {
		got := b.ForClient("app", "https://app.example", "")
		if !form.MatchString(got) || seen[got] {
			t.Errorf("state %q: got %q, want a new value without spaces", b, got)
		}
		seen[got] = true
	}
	one := state.ForClient("app", "https://app.example", "one")
	if again, two := state.ForClient("app", "https://app.example", "one"), state.ForClient("app", "https://app.example", "two"); one != again || one == two || !form.MatchString(one) {
		t.Errorf("of the codes: got %q, %q and %q, want one for each code", one, again, two)
	}
}
