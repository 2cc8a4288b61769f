// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Event is an entry of the log.
type Event struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // push, link, profile, callback, native code, native token, native userinfo
	App  string    `json:"app,omitempty"`
	// Phone is the number, if known.
	Phone     string          `json:"phone,omitempty"`
	RequestID string          `json:"requestId,omitempty"`
	AppKey    bool            `json:"app_key_present,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"` // the request, unless it is longer than 4 KiB or no JSON
	// Status is the status of the response, 0 without one. For a link it is 200 if the
	// dialog appears, 404 if it does not, and 422 if the link opens nothing.
	Status   int      `json:"status"`
	Error    string   `json:"error,omitempty"`
	Warnings []string `json:"warnings,omitempty"` // about a link
}

const (
	keptEvents = 2000
	keptBody   = 4 << 10 // bytes of a body in the log
	keptText   = 256     // bytes of an untrusted text
)

func (s *Simulator) record(e Event) {
	if len(e.Body) > keptBody || !json.Valid(e.Body) {
		e.Body = nil
	}
	e.Phone, e.Error = e.Phone[:min(len(e.Phone), keptText)], e.Error[:min(len(e.Error), keptText)]
	e.At = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, e)
	if len(s.log) > keptEvents {
		s.log = append(s.log[:0], s.log[keptEvents/2:]...)
	}
}

// events is GET /sim/log.
func (s *Simulator) events(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	events := slices.Clone(s.log)
	s.mu.Unlock()
	reply(w, http.StatusOK, marshal(map[string]any{"events": events}))
}

// shortened returns a callback's body for the log, with a shortened token.
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
