package truecaller

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	tokenLife  = 10 * time.Minute // Truecaller's rule (invariant 8)
	workers    = 32               // profile requests at once
	sweepEvery = 5 * time.Second  // how often the inbox is looked through for leftovers
	sweepMax   = 1000
	retryFirst = 500 * time.Millisecond
	retryMax   = 30 * time.Second
)

// inProgress is the set of deliveries that somebody works on or will soon.
type inProgress struct {
	mu  sync.Mutex
	ids map[string]bool
}

func newInProgress() *inProgress { return &inProgress{ids: map[string]bool{}} }

func (p *inProgress) take(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ids[id] {
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

// Run works through the inbox until ctx ends: first what an earlier process
// left, then what arrives. A delivery that could not be finished stays in the
// inbox, and is taken up again by the next sweep or the next process.
func (rc *Receiver) Run(ctx context.Context) {
	slots := make(chan struct{}, workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	begin := func(d Delivery) {
		if !rc.work.take(d.ID) {
			return
		}
		wg.Go(func() {
			defer rc.work.done(d.ID)
			rc.deliver(ctx, d, slots)
		})
	}
	sweep := func() {
		left, err := rc.Inbox.Deliveries(ctx, sweepMax)
		if err != nil {
			if ctx.Err() == nil {
				rc.Log.ErrorContext(ctx, "the inbox cannot be read", "error", err)
			}
			return
		}
		for _, d := range left {
			begin(d)
		}
	}
	sweep()
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-rc.fresh:
			begin(d)
		case <-ticker.C:
			sweep()
		}
	}
}

// deliver does what a delivery is about. Waiting for a retry takes no slot, so
// that a profile host in trouble does not hold up the others.
func (rc *Receiver) deliver(ctx context.Context, d Delivery, slots chan struct{}) {
	if err := rc.delivered(ctx, d, slots); err != nil && ctx.Err() == nil {
		rc.Log.ErrorContext(ctx, "a delivery could not be finished; it stays in the inbox", "app", d.App, "error", err)
	}
}

func (rc *Receiver) delivered(ctx context.Context, d Delivery, slots chan struct{}) error {
	if d.AccessToken == "" {
		return rc.Recipient.Progress(ctx, d)
	}
	switch err := rc.Recipient.Token(ctx, d); {
	case errors.Is(err, ErrNotFound):
		return rc.Inbox.DropDelivery(ctx, d.ID)
	case err != nil:
		return err
	}
	p, err := rc.profile(ctx, d, slots)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return rc.Recipient.Failed(ctx, d, err)
	}
	return rc.Recipient.Profile(ctx, d, p)
}

// profile fetches until it has a profile or a final error. A 401 is final; a
// 5xx or a broken connection is tried again within the token's life, waiting
// longer each time, with jitter.
func (rc *Receiver) profile(ctx context.Context, d Delivery, slots chan struct{}) (Profile, error) {
	app := rc.Apps[d.App]
	end := d.Received.Add(tokenLife)
	for wait := retryFirst; ; wait = min(2*wait, retryMax) {
		if !time.Now().Before(end) {
			return Profile{}, ErrTokenExpired
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return Profile{}, ctx.Err()
		}
		p, err := rc.Client.FetchProfile(ctx, app, d.Endpoint, d.AccessToken)
		<-slots
		if !errors.Is(err, ErrUnavailable) {
			return p, err
		}
		rc.Log.WarnContext(ctx, "the profile could not be fetched; it will be tried again", "app", d.App, "error", err)
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Profile{}, ctx.Err()
		}
	}
}
