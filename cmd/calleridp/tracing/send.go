// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/protobuf/proto"
)

const (
	sendEvery = 2 * time.Second
	sendFor   = 10 * time.Second       // one request to the collector
	lastFor   = 500 * time.Millisecond // of all that is left when the program ends
)

// The outcomes that Options.Sent counts.
const (
	Sent    = "sent"    // the collector took them
	Failed  = "failed"  // it did not, and they are lost
	Dropped = "dropped" // the queue was full, because it is slow or down, or there are too many
)

// sender sends spans, in one goroutine. What fails is not sent again: a collector that is
// back gets what happens then.
type sender struct {
	o      Options
	client *http.Client
	queues []*queue
	full   <-chan struct{}
	down   bool
}

func newSender(o Options, full <-chan struct{}, queues ...*queue) *sender {
	if o.Sent == nil {
		o.Sent = func(string, int) {}
	}
	client := &http.Client{
		// Neither a proxy of the environment nor a redirect chooses who gets the headers.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
			MaxIdleConns:      1,
			IdleConnTimeout:   time.Minute,
			ForceAttemptHTTP2: true,
		},
	}
	return &sender{o: o, client: client, full: full, queues: queues}
}

func (s *sender) run(ctx context.Context) {
	ticker := time.NewTicker(sendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFor)
			defer cancel()
			s.all(last)
			return
		case <-ticker.C:
		case <-s.full:
		}
		s.all(ctx)
	}
}

// all sends what waits.
func (s *sender) all(ctx context.Context) {
	for more := true; more; {
		more = false
		var spans []span
		for _, q := range s.queues {
			taken, dropped := q.take(batch)
			if dropped > 0 {
				s.o.Sent(Dropped, dropped)
			}
			more = more || len(taken) == batch
			spans = append(spans, taken...)
		}
		if len(spans) == 0 {
			return
		}
		err := s.send(ctx, spans)
		if err != nil {
			s.o.Sent(Failed, len(spans))
			more = more && ctx.Err() == nil
		} else {
			s.o.Sent(Sent, len(spans))
		}
		s.note(ctx, err)
	}
}

// note logs that the collector has begun to fail, or works again.
func (s *sender) note(ctx context.Context, err error) {
	switch {
	case err != nil && !s.down && ctx.Err() == nil:
		s.o.Log.Warn("traces are lost: the collector does not take them; check tracing.endpoint", "error", err)
	case err == nil && s.down:
		s.o.Log.Info("the collector takes traces again")
	}
	s.down = err != nil
}

func (s *sender) send(ctx context.Context, spans []span) error {
	ctx, cancel := context.WithTimeout(ctx, sendFor)
	defer cancel()
	body, err := proto.Marshal(s.o.message(spans))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.Endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	maps.Copy(r.Header, s.o.Header)
	r.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := s.client.Do(r)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err // without the address
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}
