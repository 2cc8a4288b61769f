package simulator

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// push is POST /v1/apps/requests.
func (s *Simulator) push(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<10))
	var in struct {
		PhoneNumber json.RawMessage `json:"phoneNumber"`
		State       string          `json:"state"`
	}
	number := ""
	if err == nil && json.Unmarshal(body, &in) == nil {
		number = strings.Trim(string(in.PhoneNumber), `"`) // a number, or the same as a string
	}
	answer := func(status int, out []byte) {
		s.record(Event{What: "push", Phone: number, AppKey: r.Header.Get("appKey") != "", Body: body, Status: status})
		reply(w, status, out)
	}
	app := s.appByKey(r.Header.Get("appKey"))
	if app == nil {
		answer(http.StatusNotFound, []byte(`{"code":404,"message":"Invalid partner credentials."}`))
		return
	}
	if v, err := strconv.ParseInt(number, 10, 64); err != nil || v < 1_000_000 {
		answer(http.StatusBadRequest, []byte(`{"code":400,"message":"Bad request."}`))
		return
	}
	b := s.behaviour(number)
	if b.pushStatus != 0 {
		answer(b.pushStatus, []byte(b.pushBody))
		return
	}
	req := s.add(app, number, in.State)
	if b.overtakes {
		s.decide(req, b.decision)
	}
	if b.pushDelay > 0 {
		select {
		case <-time.After(b.pushDelay):
		case <-s.ctx.Done():
		}
	}
	answer(http.StatusOK, marshal(map[string]string{"requestId": req.ID}))
	if !b.overtakes && (b.decision == "approve" || b.decision == "decline") {
		time.AfterFunc(b.after, func() { s.decide(req, b.decision) })
	}
}

// appByKey is the app with this key, nil if there is none.
func (s *Simulator) appByKey(key string) *App {
	for i := range s.Apps {
		if s.Apps[i].Key == key && key != "" {
			return &s.Apps[i]
		}
	}
	return nil
}

func (s *Simulator) add(app *App, number, state string) *request {
	req := &request{State: state, Number: number, app: app, Received: time.Now()}
	// Truecaller has used both shapes: base64 of 20 bytes, padded, and 13
	// lower-case letters and digits.
	s.mu.Lock()
	even := s.received%2 == 0
	s.mu.Unlock()
	if even {
		req.ID = base64.StdEncoding.EncodeToString(random(20))
	} else {
		req.ID = strings.ToLower(rand.Text()[:13])
	}
	return s.keep(req)
}

func (s *Simulator) keep(req *request) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received++
	s.requests = append(s.requests, req)
	s.byID[req.ID] = req
	if len(s.requests) > s.KeptRequests {
		delete(s.byID, s.requests[0].ID)
		s.requests = s.requests[1:]
	}
	return req
}

// decide does what the person decides, once.
func (s *Simulator) decide(req *request, decision string) bool {
	s.mu.Lock()
	if req.Decided != "" {
		s.mu.Unlock()
		return false
	}
	req.Decided = decision
	b := s.behaviour(req.Number)
	body := map[string]string{"requestId": req.ID}
	if req.State != "" {
		body["state"] = req.State
	}
	if req.Link != nil {
		body["endpoint"] = req.base + "/v1/default"
	}
	switch decision {
	case "approve":
		access := base64.RawURLEncoding.EncodeToString(random(48))
		number := req.Number
		if b.otherNumber {
			number = fiction + "99"
		}
		s.tokens[access] = &token{number: number, kind: b.profile, expires: time.Now().Add(tokenLife), fails: b.fails, status: b.tokenStatus, person: 1}
		if b.changes {
			s.visits[req.Number]++
			s.tokens[access].person = 1 + s.visits[req.Number]%2
		}
		if s.issued = append(s.issued, access); len(s.issued) > keptTokens {
			delete(s.tokens, s.issued[0])
			s.issued = s.issued[1:]
		}
		body["accessToken"] = access
		if b.endpoint != "" {
			body["endpoint"] = b.endpoint
		}
	case "decline":
		body["status"] = "user_rejected"
	case "another":
		body["status"] = "use_another_number"
	default: // expire: nothing is ever sent
		s.mu.Unlock()
		return true
	}
	if body["accessToken"] == "" {
		delete(body, "endpoint")
	}
	s.mu.Unlock()
	for range max(1, b.callbacks) {
		s.callback(req.app.CallbackURL, marshal(body))
	}
	return true
}

// callback delivers a callback, and again when it was not answered, or with a 500,
// as Truecaller does.
func (s *Simulator) callback(url string, body []byte) {
	for try := range 4 {
		if try > 0 {
			select {
			case <-time.After(time.Duration(try) * 500 * time.Millisecond):
			case <-s.ctx.Done():
				return
			}
		}
		if status, err := s.post(url, body); err == nil && status != http.StatusInternalServerError {
			return
		}
	}
}

// post sends a callback once.
func (s *Simulator) post(url string, body []byte) (status int, err error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.http.Do(r)
	if err != nil {
		s.record(Event{What: "callback", Body: shortened(body)})
		return 0, err
	}
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	answer.Body.Close()
	s.record(Event{What: "callback", Body: shortened(body), Status: answer.StatusCode})
	return answer.StatusCode, nil
}

// profile is GET /v1/default.
func (s *Simulator) profile(w http.ResponseWriter, r *http.Request) {
	access, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	t := s.tokens[access]
	if !bearer {
		t = nil
	}
	status := http.StatusOK
	switch {
	case t == nil || time.Now().After(t.expires):
		status = http.StatusUnauthorized
	case t.status != 0:
		status = t.status
	case t.fails > 0:
		t.fails--
		status = http.StatusServiceUnavailable
	}
	s.mu.Unlock()
	event := Event{What: "profile", Status: status}
	body := []byte(`{"status":50301,"message":"Unavailable"}`)
	switch status {
	case http.StatusOK:
		event.Phone = t.number
		body = profileOf(t.kind, t.number, idOf(t.number, t.person))
	case http.StatusUnauthorized:
		body = []byte(`{"status":40101,"message":"Unauthorized"}`)
	}
	s.record(event)
	reply(w, status, body)
}

func (s *Simulator) record(e Event) {
	if len(e.Body) > keptBody || !json.Valid(e.Body) {
		e.Body = nil
	}
	e.At = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, e)
	if len(s.log) > keptEvents {
		s.log = append(s.log[:0], s.log[keptEvents/2:]...)
	}
}

// shortened is a callback's body for the log, without most of its token.
func shortened(body []byte) []byte {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return nil
	}
	if access, ok := fields["accessToken"].(string); ok && len(access) > 6 {
		fields["accessToken"] = access[:6] + "..."
	}
	return marshal(fields)
}

func reply(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
