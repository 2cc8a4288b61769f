// SPDX-License-Identifier: Apache-2.0

package limit_test

import (
	"fmt"
	"time"

	"calleridp/provider/limit"
)

// A rate takes a burst at once, and then one event each time that a part of its
// period has passed.
func ExampleRate() {
	rate := limit.Rate{Burst: 2, Period: time.Hour}
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	var state time.Time // zero: never used
	for range 3 {
		decision := rate.Take(state, now)
		if !decision.Allowed {
			fmt.Println("refused until", decision.RetryAt.Format(time.TimeOnly))
			continue
		}
		state = decision.TAT
		fmt.Println("allowed,", decision.Remaining, "left")
	}
	// Output:
	// allowed, 1 left
	// allowed, 0 left
	// refused until 12:30:00
}
