// SPDX-License-Identifier: Apache-2.0

package transmitter

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/notify"
	"calleridp/provider/signals"

	"github.com/go-chi/chi/v5"
)

const (
	// maxEvents is how many events one response has: each is a signature.
	maxEvents = 100
	// maxAcks is how many events one request may acknowledge.
	maxAcks = 1000
	// pollFor is how long a request waits for events, if it may (RFC 8936 §2.1): less than the
	// server's timeout for responses. lookEvery is how often it looks.
	pollFor   = 20 * time.Second
	lookEvery = 2 * time.Second
)

// polls are the clients with a request that waits. Each has one: another one is answered at
// once, which bounds what waiting costs.
type polls struct {
	mu      sync.Mutex
	waiting map[string]bool
}

func (p *polls) enter(clientID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[clientID] {
		return false
	}
	if p.waiting == nil {
		p.waiting = map[string]bool{}
	}
	p.waiting[clientID] = true
	return true
}

func (p *polls) leave(clientID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, clientID)
}

// pollRequest is what a receiver polls with (RFC 8936 §2.2).
type pollRequest struct {
	MaxEvents         *int     `json:"maxEvents"`
	ReturnImmediately bool     `json:"returnImmediately"`
	Acknowledged      []string `json:"ack"`
	Errors            map[string]struct {
		Err string `json:"err"`
	} `json:"setErrs"`
}

// pollResponse is what it gets (RFC 8936 §2.3).
type pollResponse struct {
	Sets map[string]string `json:"sets"`
	More bool              `json:"moreAvailable,omitempty"`
}

// poll serves the events of a stream. What the receiver acknowledges, or reports as wrong, is
// not sent again.
func (t *Transmitter) poll(r *http.Request, c client.Client) (any, error) {
	var in pollRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	ctx := r.Context()
	s, err := t.streamOf(ctx, c, chi.URLParam(r, "stream"))
	switch {
	case err != nil:
		return nil, err
	case s.Method != signals.Poll:
		return nil, notFound()
	}
	most := maxEvents
	if in.MaxEvents != nil {
		most = min(max(*in.MaxEvents, 0), maxEvents)
	}
	if len(in.Acknowledged)+len(in.Errors) > maxAcks {
		return nil, invalid("ack and setErrs have too many members")
	}
	done := in.Acknowledged
	for id, wrong := range in.Errors {
		t.cfg.Audit.Record(ctx, audit.Event{Name: audit.SignalRefused, Client: c.ID, Kind: "poll", Reason: clipped(wrong.Err)})
		done = append(done, id)
	}
	if !in.ReturnImmediately && most > 0 && t.polls.enter(c.ID) {
		defer t.polls.leave(c.ID)
	} else {
		in.ReturnImmediately = true
	}
	until := time.Now().Add(pollFor)
	for {
		out, err := t.next(ctx, c, done, most)
		if err != nil || in.ReturnImmediately || len(out.Sets) > 0 || !time.Now().Before(until) {
			return out, err
		}
		done = nil
		select {
		case <-ctx.Done():
			return out, nil
		case <-time.After(lookEvery):
		}
	}
}

// next forgets what is done and returns the first events that are left. What the stream does
// not take any more is forgotten on the way.
func (t *Transmitter) next(ctx context.Context, c client.Client, done []string, most int) (pollResponse, error) {
	out := pollResponse{Sets: map[string]string{}}
	for {
		waiting, left, err := t.cfg.Store.PollNotices(ctx, c.ID, done, most)
		if err != nil {
			return out, err
		}
		done = nil
		out.More = left > len(waiting)
		for _, n := range waiting {
			set, use, err := t.polled(ctx, n)
			switch {
			case err != nil:
				return out, err
			case use == notify.Dropped:
				done = append(done, n.ID)
			case use == notify.Later: // and so is everything behind it
				out.More = false
				return out, t.forget(ctx, c, done)
			default:
				out.Sets[n.ID] = set
			}
		}
		if len(done) == 0 || len(out.Sets) > 0 || most == 0 {
			return out, t.forget(ctx, c, done)
		}
	}
}

func (t *Transmitter) forget(ctx context.Context, c client.Client, done []string) error {
	if len(done) == 0 {
		return nil
	}
	_, _, err := t.cfg.Store.PollNotices(ctx, c.ID, done, 0)
	return err
}

// polled returns a notice as a token, or what becomes of it instead.
func (t *Transmitter) polled(ctx context.Context, n notify.Notice) (set string, use notify.Outcome, err error) {
	c, s, res := t.judge(ctx, n)
	switch res.Outcome {
	case notify.Dropped, notify.Later:
		return "", res.Outcome, nil
	case notify.Failed:
		return "", "", errors.New("transmitter: " + res.Reason)
	}
	set, err = t.set(ctx, c, s, n, time.Now())
	if errors.Is(err, errGone) {
		return "", notify.Dropped, nil
	}
	return set, notify.Delivered, err
}

// clipped bounds what a receiver says, for the audit.
func clipped(s string) string { return s[:min(len(s), 100)] }
