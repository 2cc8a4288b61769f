// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// hangups receives SIGHUP, which ends the process no more, until stop is called. Service
// managers send it to make a server read its configuration again. One that arrives while the
// server starts or reloads waits; more than one count as one.
func hangups() (received <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}

// onHangup calls reload for each signal until ctx ends.
func onHangup(ctx context.Context, received <-chan os.Signal, reload func(context.Context)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-received:
			reload(ctx)
		}
	}
}
