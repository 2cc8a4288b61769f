// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// push is POST /v1/apps/requests (docs/truecaller.md section 1).
func (s *Simulator) push(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var in struct {
		PhoneNumber json.RawMessage `json:"phoneNumber"`
		State       string          `json:"state"`
	}
	number := ""
	if err == nil && json.Unmarshal(body, &in) == nil {
		number = strings.Trim(string(in.PhoneNumber), `"`) // a number, or the same as a string
	}
	event := Event{What: "push", Phone: number, AppKey: r.Header.Get("appKey") != "", Body: body}
	answer := func(status int, out []byte) {
		event.Status = status
		s.record(event)
		reply(w, status, out)
	}
	app := s.appByKey(r.Header.Get("appKey"))
	if app == nil {
		answer(http.StatusNotFound, []byte(`{"code":404,"message":"Invalid partner credentials."}`))
		return
	}
	event.App = app.Name
	if !isNumber(number) {
		answer(http.StatusBadRequest, []byte(`{"code":400,"message":"Bad request."}`))
		return
	}
	does := s.behaviour(number)
	if does.pushStatus != 0 {
		answer(does.pushStatus, []byte(does.pushBody))
		return
	}
	req := s.keep(&request{ID: s.requestID(), State: in.State, Number: number, app: app, does: does, Received: time.Now()})
	event.RequestID = req.ID
	if does.overtakes {
		s.decide(req, does.decision)
	}
	if does.slowPush {
		select {
		case <-time.After(s.cfg.SlowPush):
		case <-s.ctx.Done():
		}
	}
	answer(http.StatusOK, marshal(map[string]string{"requestId": req.ID}))
	if !does.overtakes {
		s.byItself(req)
	}
}

// requestID returns a new id. Truecaller has used both forms: base64 of 20 bytes, padded,
// and 13 lower-case letters and digits.
func (s *Simulator) requestID() string {
	s.mu.Lock()
	s.pushes++
	odd := s.pushes%2 == 1
	s.mu.Unlock()
	if odd {
		return base64.StdEncoding.EncodeToString(random(20))
	}
	return strings.ToLower(rand.Text()[:13])
}
