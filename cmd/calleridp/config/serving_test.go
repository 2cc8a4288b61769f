// SPDX-License-Identifier: Apache-2.0

package config

import (
	"testing"
	"time"
)

func TestDelayMayBeZero(t *testing.T) {
	for text, want := range map[string]Delay{
		"0s":  {Set: true},
		"0":   {Set: true},
		"7s":  {Duration: 7 * time.Second, Set: true},
		"1d":  {Duration: 24 * time.Hour, Set: true},
		"-1s": {},
		"5":   {},
		"":    {},
	} {
		var got Delay
		if err := got.UnmarshalText([]byte(text)); got != want || (err == nil) != want.Set {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	var unset, none Config
	none.Drain.ReadyDelay = Delay{Set: true}
	unset.setDefaults()
	none.setDefaults()
	if unset.Drain.ReadyDelay.Duration != 5*time.Second || none.Drain.ReadyDelay.Duration != 0 {
		t.Errorf("got %v unset and %v for 0s, want 5s and 0", unset.Drain.ReadyDelay, none.Drain.ReadyDelay)
	}
}

func TestServingLimitsAreChecked(t *testing.T) {
	for key, c := range map[string]Config{
		"drain.ready_delay":       {Drain: Drain{ReadyDelay: Delay{Duration: time.Hour, Set: true}}},
		"connections.per_network": {Connections: Connections{Max: 10, PerNetwork: 11}},
	} {
		d := newDecoder("")
		c.setDefaults()
		if d.checkServing(c); !d.failed(key) || len(d.errors) != 1 {
			t.Errorf("got %v, want %s refused alone", d.errors, key)
		}
	}
	d := newDecoder("")
	c := Config{Connections: Connections{Max: 10}} // per_network follows
	c.setDefaults()
	if d.checkServing(c); len(d.errors) != 0 {
		t.Errorf("got %v, want a small max accepted", d.errors)
	}
	var count Count
	if count.UnmarshalText([]byte("0")) == nil || count.UnmarshalText([]byte("x")) == nil || count.UnmarshalText([]byte("12")) != nil || count != 12 {
		t.Errorf("got %d, want 12, and 0 refused", count)
	}
}
