// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"
)

const (
	tokenLife = 10 * time.Minute // Truecaller's rule (invariant 8)

	fetchesPerHost = 32   // concurrent requests to one profile host
	maxInProgress  = 4096 // deliveries at once, most of them waiting for a retry; the rest wait in the inbox
	sweepMax       = 2 * maxInProgress
	sweepEvery     = 2 * time.Second // how often the worker looks for deliveries that are left in the inbox

	retryFirst = 500 * time.Millisecond
	retryMax   = 30 * time.Second

	settleTries   = 3               // of the recipient, with a profile in hand
	settleTimeout = 5 * time.Second // of all of them
)

// inProgress is the set of deliveries that are being processed.
type inProgress struct {
	mu  sync.Mutex
	ids map[string]bool
}

func newInProgress() *inProgress { return &inProgress{ids: map[string]bool{}} }

// take reports whether the caller may process the delivery, alone, until done.
func (p *inProgress) take(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ids[id] || len(p.ids) >= maxInProgress {
		return false
	}
	p.ids[id] = true
	return true
}

func (p *inProgress) done(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.ids, id)
}

// Run processes the inbox until ctx is done: first what an earlier process left, then
// what arrives. It returns soon after ctx is done, when no work is in progress. A
// delivery that could not be finished stays in the inbox for the next sweep or the next
// process.
func (rc *Receiver) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	begin := func(d Delivery) {
		if !rc.work.take(d.ID) {
			return
		}
		wg.Go(func() {
			defer rc.work.done(d.ID)
			ctx := rc.cfg.Trace(ctx, d.Callback)
			err := rc.deliver(ctx, d)
			if ctx.Err() == nil {
				rc.cfg.Observer.Delivered(ctx, d.App, err != nil, time.Since(d.Received))
			}
			if err != nil && ctx.Err() == nil {
				rc.cfg.Log.ErrorContext(ctx, "a delivery could not be finished; it stays in the inbox",
					"delivery", d.ID, "app", d.App, "error", err)
			}
		})
	}
	// In its own goroutine, so that a slow store does not delay new deliveries.
	wg.Go(func() {
		ticker := time.NewTicker(sweepEvery)
		defer ticker.Stop()
		for {
			rc.sweep(ctx, begin)
			rc.early.expire(time.Now())
			for rechecking := true; rechecking; {
				select {
				case <-ctx.Done():
					return
				case <-rc.recheck:
					rc.arrivedElsewhere(ctx)
				case <-ticker.C:
					rechecking = false
				}
			}
		}
	})
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-rc.fresh:
			begin(d)
		}
	}
}

// sweep begins the deliveries of the inbox that are not in progress.
func (rc *Receiver) sweep(ctx context.Context, begin func(Delivery)) {
	left, err := rc.cfg.Inbox.Deliveries(ctx, sweepMax)
	if err != nil && ctx.Err() == nil {
		rc.cfg.Log.ErrorContext(ctx, "the inbox cannot be read", "error", err)
	}
	for _, d := range left {
		if ctx.Err() != nil {
			return
		}
		begin(d)
	}
}

// deliver processes a delivery, as long as this process holds it. If it returns an
// error, the delivery stays in the inbox.
func (rc *Receiver) deliver(ctx context.Context, d Delivery) error {
	if d.AccessToken == "" {
		return rc.cfg.Recipient.Progress(ctx, d)
	}
	// The callback's endpoint and app are untrusted, so they are checked before anything
	// is sent (invariant 5).
	at, err := rc.cfg.Apps[d.App].profileURL(d.Endpoint)
	if err != nil {
		if err := rc.cfg.Recipient.Token(ctx, d); err != nil {
			return rc.unwanted(ctx, d, err)
		}
		rc.cfg.Observer.Callback(ctx, d.App, CallbackBadEndpoint, 0)
		return rc.cfg.Recipient.Failed(ctx, d, err)
	}
	// A 401 is final. A 5xx or a broken connection is retried while the token is valid,
	// with growing pauses and jitter.
	for wait := retryFirst; ; {
		// Before each try: another process may work on it now, and if no attempt waits for
		// the token any more, it must not be used.
		switch held, err := rc.cfg.Inbox.HoldDelivery(ctx, d.ID); {
		case err != nil:
			return err
		case !held:
			rc.cfg.Log.InfoContext(ctx, "another server holds the delivery", "delivery", d.ID, "app", d.App)
			return nil
		}
		if err := rc.cfg.Recipient.Token(ctx, d); err != nil {
			return rc.unwanted(ctx, d, err)
		}
		p, err := rc.fetch(ctx, d, at)
		switch {
		case err == nil:
			return rc.settle(ctx, d, p)
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, ErrProfileUnavailable):
			return rc.cfg.Recipient.Failed(ctx, d, err)
		}
		after := wait/2 + rand.N(wait)
		if down, ok := errors.AsType[*Unavailable](err); ok {
			after = time.Until(down.RetryAt) + rand.N(wait) // no request was made
		} else {
			rc.cfg.Log.WarnContext(ctx, "the profile could not be fetched; it will be tried again",
				"delivery", d.ID, "app", d.App, "error", err)
			wait = min(2*wait, retryMax)
		}
		pause := time.NewTimer(min(after, time.Until(d.Received.Add(tokenLife))))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// unwanted drops a delivery for which no attempt waits. It returns any other error of
// Recipient.Token unchanged.
func (rc *Receiver) unwanted(ctx context.Context, d Delivery, err error) error {
	if errors.Is(err, ErrNotFound) {
		return rc.cfg.Inbox.DropDelivery(ctx, d.ID)
	}
	return err
}

// fetch makes one request, in one of the host's slots. A delivery that waits for a
// retry holds no slot, and each host has its own slots: a slow profile host does not
// delay sign-ins at another.
func (rc *Receiver) fetch(ctx context.Context, d Delivery, at *url.URL) (Profile, error) {
	slots := rc.slots[at.Host]
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return Profile{}, ctx.Err()
	}
	// A token that was received ahead of the clock, by one that was wrong, is of
	// unknown age.
	if age := time.Since(d.Received); age >= tokenLife || age <= -tokenLife {
		return Profile{}, ErrTokenExpired
	}
	return rc.cfg.Client.fetchProfile(ctx, at, d.AccessToken)
}

// settle hands a profile to the recipient. A token may work only once, so neither a
// short failure of the store nor the end of the process may lose a fetched profile.
func (rc *Receiver) settle(ctx context.Context, d Delivery, p Profile) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	wait := retryFirst
	for try := 1; ; try++ {
		err := rc.cfg.Recipient.Profile(ctx, d, p)
		if err == nil || try == settleTries {
			return err
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
		wait *= 2
	}
}
