// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"os"
	"syscall"
	"testing"
)

// SIGHUP ends nothing: without a handler this test's process ends. One that arrives during a
// reload leads to another.
func TestHangupDoesNotEndTheServer(t *testing.T) {
	received, stop := hangups()
	defer stop()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	hangUp := func() {
		if err := self.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	begun, reloads := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		onHangup(ctx, received, func(context.Context) {
			if n++; n == 1 {
				close(begun)
			}
			reloads <- n
		})
		close(reloads)
	}()
	hangUp()
	<-begun
	hangUp()
	for want := 1; want <= 2; want++ {
		if got := <-reloads; got != want {
			t.Errorf("got reload %d, want %d", got, want)
		}
	}
	end()
	if _, more := <-reloads; more {
		t.Error("got a reload without a signal")
	}
}
