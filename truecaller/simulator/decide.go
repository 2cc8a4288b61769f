// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

// request is one push, or one link that was opened.
type request struct {
	ID, State, Number string
	app               *App
	does              behaviour
	Link              *Link    // of one-tap; nil for a push
	Warnings          []string // about the link
	base              string   // of one-tap: the simulator's own address
	Received          time.Time
	Decided           string // "", or what was decided
}

// The decisions of a user.
const (
	approve = "approve"
	decline = "decline"
	another = "another" // the dialog's footer; one-tap only
	expire  = "expire"  // no decision; no callback
)

// decidable reports whether the phone offers this decision.
func (r *request) decidable(decision string) bool {
	return decision == approve || decision == decline || decision == expire || decision == another && r.Link != nil
}

// keep shows a request on its phone. A link that is opened again replaces its dialog.
func (s *Simulator) keep(req *request) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.requests.get(req.ID); before != nil && before.Decided == "" {
		before.Decided = expire
	}
	s.requests.put(req.ID, req)
	return req
}

// byItself makes the decision of the number's behaviour, after its delay.
func (s *Simulator) byItself(req *request) {
	if d := req.does.decision; d != "" {
		time.AfterFunc(req.does.after, func() { s.decide(req, d) })
	}
}

// decide decides a request, once, and sends the callbacks. It reports whether the
// request was undecided.
func (s *Simulator) decide(req *request, decision string) bool {
	s.mu.Lock()
	if req.Decided != "" {
		s.mu.Unlock()
		return false
	}
	req.Decided = decision
	said := s.outcome(req)
	s.mu.Unlock()
	if said == nil {
		return true
	}
	body := marshal(said)
	for range max(1, req.does.callbacks) {
		s.callback(req.app, body)
	}
	return true
}

// outcome returns the callback's body (docs/truecaller.md section 3), nil for none. The
// caller holds the lock.
func (s *Simulator) outcome(req *request) map[string]string {
	said := map[string]string{"requestId": req.ID}
	if req.State != "" {
		said["state"] = req.State
	}
	switch req.Decided {
	case approve:
		said["accessToken"] = s.issue(req)
		if req.Link != nil {
			said["endpoint"] = req.base + "/v1/default"
		}
		if req.does.endpoint != "" {
			said["endpoint"] = req.does.endpoint
		}
	case decline:
		said["status"] = "user_rejected"
	case another:
		said["status"] = "use_another_number"
	default:
		return nil
	}
	return said
}

// issue creates the access token of an approval. The caller holds the lock.
func (s *Simulator) issue(req *request) string {
	t := &token{
		number:  req.Number,
		kind:    req.does.profile,
		person:  1,
		app:     req.app.Name,
		expires: time.Now().Add(tokenLife),
		fails:   req.does.fails,
		status:  req.does.tokenStatus,
	}
	if req.does.otherNumber {
		t.number = fiction + "99"
	}
	if req.does.changes {
		s.visits[req.Number]++
		t.person = 1 + s.visits[req.Number]%2
	}
	access := randomText(48)
	s.tokens.put(access, t)
	return access
}

// callback sends a callback, and repeats it without a response or after a 500, as
// Truecaller's first documents describe (docs/truecaller.md section 1).
func (s *Simulator) callback(app *App, body []byte) {
	for try := range 4 {
		if try > 0 {
			select {
			case <-time.After(time.Duration(try) * 500 * time.Millisecond):
			case <-s.ctx.Done():
				return
			}
		}
		if status, err := s.post(app.Name, app.CallbackURL, body); err == nil && status != http.StatusInternalServerError {
			return
		}
	}
}

// post sends a callback once.
func (s *Simulator) post(app, url string, body []byte) (status int, err error) {
	event := Event{What: "callback", App: app, Body: shortened(body)}
	defer func() { s.record(event) }()
	status, err = s.send(url, body)
	if event.Status = status; err != nil {
		event.Error = err.Error()
	}
	return status, err
}

func (s *Simulator) send(address string, body []byte) (status int, err error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, withoutURL(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.http.Do(r)
	if err != nil {
		return 0, withoutURL(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	return answer.StatusCode, nil
}

// withoutURL removes the address, which contains the app's secret, from an error.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
