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

	fetchesPerHost = 32   // requests at once to one profile host
	maxInProgress  = 4096 // deliveries at once, most of them waiting for another try; the rest wait in the inbox
	sweepMax       = 2 * maxInProgress
	sweepEvery     = 5 * time.Second // how often the inbox is looked through for what is left

	ledgerEvery = 10 * time.Second // how often callbacks that were only counted are logged

	retryFirst = 500 * time.Millisecond
	retryMax   = 30 * time.Second

	settleTries   = 3               // of the recipient, with a profile in hand
	settleTimeout = 5 * time.Second // of all of them
)

// inProgress is the set of deliveries that somebody works on.
type inProgress struct {
	mu  sync.Mutex
	ids map[string]bool
}

func newInProgress() *inProgress { return &inProgress{ids: map[string]bool{}} }

// take reports whether the delivery is now the caller's alone, until done.
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

// Run works through the inbox until ctx ends: first what an earlier process
// left, then what arrives. It returns soon after ctx ends, when no work is under
// way any more. A delivery that could not be finished stays in the inbox, and is
// taken up again by the next sweep or the next process.
func (rc *Receiver) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	begin := func(d Delivery) {
		if !rc.work.take(d.ID) {
			return
		}
		wg.Go(func() {
			defer rc.work.done(d.ID)
			if err := rc.deliver(ctx, d); err != nil && ctx.Err() == nil {
				rc.cfg.Log.ErrorContext(ctx, "a delivery could not be finished; it stays in the inbox",
					"delivery", d.ID, "app", d.App, "error", err)
			}
		})
	}
	// On its own, so that a slow store does not hold up what arrives.
	wg.Go(func() {
		ticker := time.NewTicker(sweepEvery)
		defer ticker.Stop()
		for {
			rc.sweep(ctx, begin)
			rc.early.expire(time.Now())
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	ticker := time.NewTicker(ledgerEvery)
	defer ticker.Stop()
	defer rc.ledger.flush(context.WithoutCancel(ctx))
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-rc.fresh:
			begin(d)
		case <-ticker.C:
			rc.ledger.flush(ctx)
		}
	}
}

// sweep begins what is in the inbox and not in progress.
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

// deliver does what a delivery is about. Its error leaves the delivery in the
// inbox.
func (rc *Receiver) deliver(ctx context.Context, d Delivery) error {
	if d.AccessToken == "" {
		return rc.cfg.Recipient.Progress(ctx, d)
	}
	// The callback's endpoint and app come from outside, so this comes before
	// anything is sent (invariant 5).
	at, err := rc.cfg.Apps[d.App].profileURL(d.Endpoint)
	if err != nil {
		if err := rc.cfg.Recipient.Token(ctx, d); err != nil {
			return rc.unwanted(ctx, d, err)
		}
		rc.cfg.Observer.Callback(d.App, CallbackBadEndpoint)
		return rc.cfg.Recipient.Failed(ctx, d, err)
	}
	// A 401 is final; a 5xx or a broken connection is tried again within the
	// token's life, waiting longer each time, with jitter.
	for wait := retryFirst; ; {
		// Asked again before each try: when nobody waits for the token any more,
		// it must not be used.
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

// unwanted drops a delivery that nobody waits for; other errors of
// Recipient.Token stay what they are.
func (rc *Receiver) unwanted(ctx context.Context, d Delivery, err error) error {
	if errors.Is(err, ErrNotFound) {
		return rc.cfg.Inbox.DropDelivery(ctx, d.ID)
	}
	return err
}

// fetch makes one request, in one of the host's slots. Waiting for another try
// takes no slot, and another host has its own: a profile host in trouble does
// not hold up sign-ins that do not need it.
func (rc *Receiver) fetch(ctx context.Context, d Delivery, at *url.URL) (Profile, error) {
	slots := rc.slots[at.Host]
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return Profile{}, ctx.Err()
	}
	if time.Since(d.Received) >= tokenLife {
		return Profile{}, ErrTokenExpired
	}
	return rc.cfg.Client.fetchProfile(ctx, at, d.AccessToken)
}

// settle hands over a profile. A token may open only once, so a profile in hand
// is not let go for a moment's trouble of the store, or because the process is
// being stopped.
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
