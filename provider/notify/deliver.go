// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Sender delivers notices. It returns when ctx is done, or within a few seconds.
type Sender interface {
	// Send tries once.
	Send(ctx context.Context, n Notice) Result
	// Stranger reports whether the receiver has registered itself: all strangers together
	// get less room.
	Stranger(ctx context.Context, receiver string) bool
	// Ended is called when a notice of its kind is done with.
	Ended(ctx context.Context, n Notice, res Result)
}

// Observer counts tries.
type Observer interface {
	// Notified is called for every try, and for what is given up without one. took is the
	// time of the try.
	Notified(ctx context.Context, kind Kind, o Outcome, took time.Duration)
}

// Config is what a Deliverer needs. Everything is required.
type Config struct {
	Store    Store
	Senders  map[Kind]Sender
	Observer Observer
	Log      *slog.Logger
}

// Bounds of the work at one time.
const (
	lanes     = 16              // receivers that are notified at once
	strangers = lanes / 2       // of them, those that registered themselves
	turn      = 8               // notices of a receiver before another one's turn
	turnFor   = 2 * time.Second // the same in time: a slow receiver gets one
	lookEvery = 2 * time.Second
	passOver  = 256 // receivers that are taken at once to get past strangers
)

// Deliverer delivers what the store has. It is safe for concurrent use.
type Deliverer struct {
	cfg   Config
	freed chan struct{}

	mu       sync.Mutex
	busy     int
	busyWith int // strangers
}

// NewDeliverer returns a Deliverer.
func NewDeliverer(cfg Config) *Deliverer {
	return &Deliverer{cfg: cfg, freed: make(chan struct{}, 1)}
}

// Run delivers until ctx is done, and then waits for the tries that are under way.
func (d *Deliverer) Run(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	failing := false
	for {
		err := d.take(ctx, &working)
		if err != nil && ctx.Err() == nil && !failing {
			d.cfg.Log.Error("notices for clients cannot be read; they wait", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-d.cfg.Store.Noticed():
		case <-d.freed:
		case <-time.After(lookEvery):
		}
	}
}

// take starts the turns of receivers that are due. Strangers who find their room full stay
// held, and the store is asked for the next ones until it has no more: however many strangers
// are due, none of them stands before another client.
func (d *Deliverer) take(ctx context.Context, working *sync.WaitGroup) error {
	kept := 0 // strangers who wait
	for most := d.free(); most > 0 && d.free() > 0 && ctx.Err() == nil; most = passOver {
		taken, err := d.cfg.Store.TakeReceivers(ctx, most)
		if err != nil {
			return err
		}
		before := kept
		for _, id := range taken {
			stranger := d.isStranger(ctx, id)
			switch {
			case d.enter(stranger):
				working.Go(func() {
					defer d.leave(stranger)
					d.turn(ctx, id)
				})
				continue
			case stranger:
				if kept++; kept > strangers { // as many as there may soon be room for come back sooner
					continue
				}
				err = d.cfg.Store.LeaveReceiver(ctx, id, time.Second)
			default: // more than there is room for were passed over
				err = d.cfg.Store.LeaveReceiver(ctx, id, 0)
			}
			if err != nil {
				return err
			}
		}
		if kept == before || len(taken) < most {
			break
		}
	}
	return ctx.Err()
}

// free returns how many lanes are.
func (d *Deliverer) free() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return lanes - d.busy
}

func (d *Deliverer) isStranger(ctx context.Context, id string) bool {
	for _, s := range d.cfg.Senders {
		if s.Stranger(ctx, id) {
			return true
		}
	}
	return false
}

func (d *Deliverer) enter(stranger bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy >= lanes || stranger && d.busyWith >= strangers {
		return false
	}
	d.busy++
	if stranger {
		d.busyWith++
	}
	return true
}

func (d *Deliverer) leave(stranger bool) {
	d.mu.Lock()
	d.busy--
	if stranger {
		d.busyWith--
	}
	d.mu.Unlock()
	select {
	case d.freed <- struct{}{}:
	default:
	}
}

// turn delivers notices of one receiver, one after the other, until one fails, none is
// left or it is another one's turn.
func (d *Deliverer) turn(ctx context.Context, receiver string) {
	begun := time.Now()
	for n := 0; n < turn && time.Since(begun) < turnFor && ctx.Err() == nil; n++ {
		more, err := d.deliver(ctx, receiver)
		switch {
		case errors.Is(err, ErrNotHeld):
			return
		case err != nil && ctx.Err() == nil:
			d.cfg.Log.Error("a notice for a client could not be handled; it waits", "client", receiver, "error", err)
			d.release(ctx, receiver, firstPause)
			return
		case err != nil || !more:
			d.release(ctx, receiver, 0)
			return
		}
	}
	d.release(ctx, receiver, 0)
}

// release leaves a receiver, also while the program ends.
func (d *Deliverer) release(ctx context.Context, receiver string, pause time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnFor)
	defer cancel()
	if err := d.cfg.Store.LeaveReceiver(ctx, receiver, pause); err != nil {
		d.cfg.Log.Debug("a receiver of notices was not left; it is free in a moment", "client", receiver, "error", err)
	}
}

// deliver tries the first notice of a receiver, and reports whether the next one may
// follow at once.
func (d *Deliverer) deliver(ctx context.Context, receiver string) (more bool, err error) {
	n, err := d.cfg.Store.NextNotice(ctx, receiver)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var res Result
	begun := time.Now()
	sender := d.cfg.Senders[n.Kind]
	switch {
	case tooOld(n, time.Now()):
		res = Result{Outcome: Abandoned, Reason: fmt.Sprintf("undelivered for %d hours", int(n.Kind.Kept().Hours()))}
	case sender == nil:
		res = Result{Outcome: Dropped, Reason: "this server sends no such notices"}
	default:
		res = sender.Send(ctx, n)
	}
	if ctx.Err() != nil { // the program ends: it counts as not tried, and is tried again
		return false, ctx.Err()
	}
	now, by := time.Now(), jitter()
	took := now.Sub(begun)
	decide := func(r Receiver, n Notice) (Receiver, Notice, bool) { return after(r, n, res, now, by) }
	if err := d.cfg.Store.SettleNotice(ctx, n, decide); err != nil {
		return false, err
	}
	if res.Outcome == Later {
		return false, nil
	}
	d.cfg.Observer.Notified(ctx, n.Kind, res.Outcome, took)
	failed := res.Outcome == Failed
	if _, _, done := decide(Receiver{}, n); done {
		if failed {
			res.Outcome = Abandoned
			d.cfg.Observer.Notified(ctx, n.Kind, res.Outcome, 0)
		}
		if sender != nil {
			sender.Ended(ctx, n, res)
		}
	}
	return !failed, nil
}
