// SPDX-License-Identifier: Apache-2.0

package token

import (
	"testing"
	"time"

	"calleridp/provider/grant"
)

// What comes too soon is refused, and the memory for it is bounded.
func TestPollsAreBounded(t *testing.T) {
	p := newPolls(5 * time.Second)
	p.mostNow = 3
	now := time.Now()
	code := func(i byte) grant.CodeHash { return grant.CodeHash{i} }
	for i := range byte(100) {
		if !p.allow(code(i), now) {
			t.Fatalf("the first poll of code %d is refused", i)
		}
		if p.allow(code(i), now.Add(3*time.Second)) {
			t.Errorf("code %d is allowed again after three seconds", i)
		}
		if len(p.now)+len(p.before) > 2*p.mostNow {
			t.Fatalf("%d codes are remembered, want at most %d", len(p.now)+len(p.before), 2*p.mostNow)
		}
	}
	// Of one code, each interval has one poll, however often it is tried.
	p = newPolls(5 * time.Second)
	allowed := 0
	for tenth := range 600 { // a minute
		if p.allow(code(1), now.Add(time.Duration(tenth)*100*time.Millisecond)) {
			allowed++
		}
		p.allow(code(byte(tenth%50+2)), now.Add(time.Duration(tenth)*100*time.Millisecond)) // others in between
	}
	if most := int(time.Minute / (5*time.Second - early)); allowed > most || allowed < most-1 {
		t.Errorf("a minute has %d polls, want %d", allowed, most)
	}
	// A clock that is put back locks nobody out.
	if !p.allow(code(1), now.Add(-time.Hour)) {
		t.Error("after the clock was put back, a poll is refused")
	}
}
