// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/limit"
)

const day = 24 * time.Hour

// Duration is a time.Duration that can also be written in days. Zero means unset.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	var v time.Duration
	var err error
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		v = time.Duration(n) * day
	} else {
		v, err = time.ParseDuration(string(text))
	}
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a duration above zero; write it like 90s, 15m, 12h or 30d", text)
	}
	*d = Duration(v)
	return nil
}

// Delay is a Duration that may be 0s. The zero value means unset.
type Delay struct {
	time.Duration
	Set bool
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Delay) UnmarshalText(text []byte) error {
	if v, err := time.ParseDuration(string(text)); err == nil && v == 0 {
		*d = Delay{Set: true}
		return nil
	}
	var v Duration
	if err := v.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is not a duration; write it like 0s, 5s or 1m", text)
	}
	*d = Delay{Duration: time.Duration(v), Set: true}
	return nil
}

// Count is a number of things. Zero means unset.
type Count int

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a number above zero, like 1000", text)
	}
	*c = Count(n)
	return nil
}

// Bits is a number of bits. Zero means unset.
type Bits int

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bits) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 8)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a number of bits, like 18", text)
	}
	*b = Bits(n)
	return nil
}

// Share is a part of a whole, above 0 and up to 1. Zero means unset.
type Share float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Share) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v > 0 && v <= 1) {
		return fmt.Errorf("%q is not a share above 0 and up to 1, like 0.1", text)
	}
	*s = Share(v)
	return nil
}

// Rate is a limit.Rate written as 10/1h. Zero means unset.
type Rate limit.Rate

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) error {
	burst, period, ok := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(strings.TrimSpace(burst), 10, 31)
	var every Duration
	if !ok || err != nil || n == 0 || every.UnmarshalText([]byte(strings.TrimSpace(period))) != nil {
		return fmt.Errorf("%q is not a rate; write it like 10/1h", text)
	}
	*r = Rate{Burst: int(n), Period: time.Duration(every)}
	return nil
}

// String returns the duration as the configuration writes it: 10m, not 10m0s.
func (d Duration) String() string {
	switch v := time.Duration(d); {
	case v > day && v%day == 0:
		return fmt.Sprintf("%dd", v/day)
	case v != 0 && v%time.Hour == 0:
		return fmt.Sprintf("%dh", v/time.Hour)
	case v != 0 && v%time.Minute == 0:
		return fmt.Sprintf("%dm", v/time.Minute)
	default:
		return v.String()
	}
}
