// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"testing"
	"testing/synctest"
)

// What is asked for while it is being done is done once more, not as often as asked for.
func TestAtMostOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done, under, most := 0, 0, 0
		release := make(chan struct{})
		ask, run := atMostOnce(func(context.Context) {
			under++
			most = max(most, under)
			<-release
			under--
			done++
		})
		go run(ctx)
		ask()
		synctest.Wait()
		for range 1000 {
			ask()
		}
		close(release)
		synctest.Wait()
		if done != 2 || most != 1 {
			t.Errorf("done %d times, %d at once; want 2, one at a time", done, most)
		}
	})
}
