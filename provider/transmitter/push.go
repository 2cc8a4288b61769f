// SPDX-License-Identifier: Apache-2.0

package transmitter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/fetch"
	"calleridp/provider/notify"
	"calleridp/provider/signals"
)

const (
	// sendFor is how long one try takes at most: less than notify.Held.
	sendFor = 6 * time.Second
	// askAgain is after how long the deliverer looks at a stream again that takes nothing
	// from it. Each change of the stream makes it look at once.
	askAgain = time.Hour
)

var _ notify.Sender = (*Transmitter)(nil)

// Stranger implements notify.Sender: receivers are the operator's clients.
func (t *Transmitter) Stranger(context.Context, string) bool { return false }

// Send implements notify.Sender: it pushes (RFC 8935). A stream that polls is passed over.
func (t *Transmitter) Send(ctx context.Context, n notify.Notice) notify.Result {
	c, s, res := t.judge(ctx, n)
	if res.Outcome != "" {
		return t.settled(ctx, s, n, res)
	}
	if s.Method != signals.Push {
		return t.settled(ctx, s, n, later())
	}
	token, err := t.set(ctx, c, s, n, time.Now())
	switch {
	case errors.Is(err, errGone):
		return dropped("the user is gone")
	case err != nil:
		t.cfg.Log.Error("a security event token cannot be made; it waits", "client", c.ID, "error", err)
		return failed("no token could be made", 0)
	}
	trying, cancel := context.WithTimeout(ctx, sendFor)
	defer cancel()
	reply, err := t.cfg.Post.PostSET(trying, s.Endpoint, s.Authorization, token)
	if err != nil {
		return t.settled(ctx, s, n, failed(err.Error(), 0))
	}
	return t.settled(ctx, s, n, resultOf(reply))
}

// settled pauses a stream whose receiver does not come back, and returns the result.
func (t *Transmitter) settled(ctx context.Context, s signals.Stream, n notify.Notice, res notify.Result) notify.Result {
	now := time.Now()
	stands := res.Outcome == notify.Failed || res.Outcome == notify.Later
	// A stream that was paused has its time again from when it is resumed.
	since := n.At
	if s.Changed.After(since) {
		since = s.Changed
	}
	if !stands || s.Status != signals.Enabled || now.Sub(since) < signals.PausedAfter || signals.Event(n.Event).AboutStream() {
		return res
	}
	_, err := t.cfg.Store.ChangeStream(ctx, s.ClientID, func(known *signals.Stream) (signals.Update, error) {
		if known == nil || known.ID != s.ID || known.Status != signals.Enabled {
			return signals.Update{Stream: known}, nil
		}
		return signals.Stopped(*known, signals.ByTransmitter, signals.NeverComesBack, now), nil
	})
	if err != nil {
		t.cfg.Log.Error("a stream whose receiver does not come back cannot be paused", "client", s.ClientID, "error", err)
		return res
	}
	t.cfg.Audit.Record(ctx, audit.Event{Name: audit.StreamPaused, Client: s.ClientID, Reason: signals.NeverComesBack})
	return later()
}

// judge returns the client and the stream of a notice, or what becomes of the notice without a
// look at its receiver.
func (t *Transmitter) judge(ctx context.Context, n notify.Notice) (c client.Client, s signals.Stream, res notify.Result) {
	if !t.cfg.Enabled {
		return c, s, dropped("signals are turned off")
	}
	clientID, _ := signals.ClientOf(n.Receiver)
	c, err := t.cfg.Clients.Client(ctx, clientID)
	switch {
	case errors.Is(err, client.ErrNotFound):
		return c, s, dropped("the client was removed")
	case err != nil:
		return c, s, t.broken(clientID, err)
	case !c.Signals:
		return c, s, dropped("the client is no receiver")
	case c.RegisteredAfter(n.Met): // an earlier client of this ID: it is none of this one's business
		return c, s, dropped("the client was removed")
	}
	e := signals.Event(n.Event)
	s, err = t.cfg.Store.Stream(ctx, c.ID)
	switch {
	case errors.Is(err, signals.ErrNotFound), err == nil && c.RegisteredAfter(s.Created):
		return c, s, dropped("the client has no stream")
	case err != nil:
		return c, s, t.broken(clientID, err)
	case !s.Takes(e):
		return c, s, dropped("the stream takes no such events")
	case e == signals.StreamUpdated && !current(s, n):
		return c, s, dropped("the stream has another status by now")
	case s.Status == signals.Paused && e != signals.StreamUpdated:
		return c, s, later()
	}
	if !e.AboutStream() {
		removed, err := t.cfg.Store.SubjectRemoved(ctx, c.ID, t.subjectHash(c, t.cfg.Tokens.Subject(c, n.Sub)))
		if err != nil {
			return c, s, t.broken(clientID, err)
		}
		if removed {
			return c, s, dropped("the receiver has removed the subject")
		}
	}
	return c, s, notify.Result{}
}

// current reports whether a notice says the status that the stream has.
func current(s signals.Stream, n notify.Notice) bool {
	var said struct {
		Status signals.Status `json:"status"`
	}
	return json.Unmarshal([]byte(n.Detail), &said) == nil && said.Status == s.Status
}

func (t *Transmitter) broken(clientID string, err error) notify.Result {
	t.cfg.Log.Error("the receiver of a signal cannot be read; it waits", "client", clientID, "error", err)
	return failed("the store failed", 0)
}

// final are the errors after which the same token is never accepted (RFC 8935 §2.4). The
// others are about credentials or keys, which a receiver puts right.
var final = []string{"invalid_request", "invalid_issuer", "invalid_audience", "invalid_state"}

// resultOf says what a response means (RFC 8935 §2.2, §2.3).
func resultOf(reply fetch.Reply) notify.Result {
	var said struct {
		Err string `json:"err"`
	}
	switch reply.Status {
	case http.StatusAccepted, http.StatusOK, http.StatusNoContent: // some frameworks send others in the place of 202
		return notify.Result{Outcome: notify.Delivered}
	case http.StatusBadRequest:
		_ = json.Unmarshal([]byte(reply.Body), &said) // without a code it is tried again
		if i := slices.Index(final, said.Err); i >= 0 {
			return notify.Result{Outcome: notify.Refused, Reason: "status 400: " + final[i]}
		}
	}
	return failed(fmt.Sprintf("status %d", reply.Status), reply.RetryAfter)
}

// Ended implements notify.Sender: it records what a receiver has not got.
func (t *Transmitter) Ended(ctx context.Context, n notify.Notice, res notify.Result) {
	name, recorded := map[notify.Outcome]audit.Name{
		notify.Refused:   audit.SignalRefused,
		notify.Abandoned: audit.SignalAbandoned,
	}[res.Outcome]
	clientID, _ := signals.ClientOf(n.Receiver)
	if recorded {
		t.cfg.Audit.Record(ctx, audit.Event{Name: name, Client: clientID, Subject: n.Sub, Kind: n.Event, Reason: res.Reason})
	}
}

func dropped(reason string) notify.Result {
	return notify.Result{Outcome: notify.Dropped, Reason: reason}
}

func failed(reason string, after time.Duration) notify.Result {
	return notify.Result{Outcome: notify.Failed, Reason: reason, RetryAfter: after}
}

func later() notify.Result { return notify.Result{Outcome: notify.Later, RetryAfter: askAgain} }
