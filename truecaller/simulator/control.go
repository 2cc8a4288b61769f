// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"calleridp/truecaller"

	"github.com/go-chi/chi/v5"
)

// Handler serves Truecaller's interfaces, the phone page and the control
// interface for tests (for the OAuth interface see nativeRoutes):
//
//	POST /v1/apps/requests             the push interface
//	GET  /v1/default                   the profile interface
//	GET  /, GET /phone                 the phone; ?number= shows that phone alone
//	GET  /phone/open                   a form for a one-tap link; ?link= fills it in
//	GET  /sim/requests?phone=          what is pending, as JSON
//	POST /sim/open                     opens a one-tap link on a phone
//	POST /sim/requests/{id}/{decision} approve, decline, another (one-tap) or expire
//	POST /sim/callback                 sends a callback of the caller's choosing
//	GET  /sim/log                      everything that happened
func (s *Simulator) Handler() http.Handler {
	r := chi.NewRouter()
	r.Post("/v1/apps/requests", s.push)
	r.Get("/v1/default", s.profile)
	s.nativeRoutes(r)
	r.Get("/", s.phonePage)
	r.Get("/phone", s.phonePage)
	r.Get("/phone/open", s.openPage)
	r.Get("/sim/requests", s.pending)
	r.Get("/sim/log", s.events)
	// A page of another site must not press the phone's buttons.
	guarded := r.With(http.NewCrossOriginProtection().Handler)
	guarded.Post("/phone", s.phoneDecision)
	guarded.Post("/phone/open", s.phoneOpen)
	guarded.Post("/sim/open", s.open)
	guarded.Post("/sim/requests/*", s.controlDecision)
	guarded.Post("/sim/callback", s.sendCallback)
	return r
}

// OnThisMachine returns next for requests that name this machine, and refuses all others.
// A client that reaches a simulator can approve any sign-in. A listener on loopback keeps other
// machines away, but not a page in a browser of this one whose own host name was made to
// lead here (DNS rebinding): to the browser it is of one origin with the simulator, and only
// the Host header still has that name.
func OnThisMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if !truecaller.IsLoopback(host) && !strings.HasSuffix(host, ".localhost") {
			http.Error(w, "This is a simulator for its own machine. Open it by its loopback address, like http://127.0.0.1.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Pending is a request without a decision.
type Pending struct {
	RequestID string    `json:"requestId"`
	Kind      string    `json:"kind"` // push or onetap
	Phone     string    `json:"phone"`
	App       string    `json:"app"`
	Received  time.Time `json:"received"`
	Dialog    *Dialog   `json:"dialog,omitempty"`   // of one-tap
	Warnings  []string  `json:"warnings,omitempty"` // about its link
}

const pendingLife = 10 * time.Minute // the lifetime of a token

// waiting returns the pending requests of a phone, the newest first; "" is all phones.
func (s *Simulator) waiting(phone string) []Pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := []Pending{}
	for _, id := range slices.Backward(s.requests.keys) {
		req := s.requests.get(id)
		if req.Decided != "" || phone != "" && req.Number != phone || time.Since(req.Received) >= pendingLife {
			continue
		}
		p := Pending{RequestID: req.ID, Kind: "push", Phone: req.Number, App: req.app.Name, Received: req.Received}
		if req.Link != nil {
			p.Kind, p.App, p.Dialog, p.Warnings = "onetap", req.Link.PartnerName, req.Link.dialog(req.Number), req.Warnings
		}
		open = append(open, p)
	}
	return open
}

func (s *Simulator) pending(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, marshal(s.waiting(asDigits(r.URL.Query().Get("phone")))))
}

// asDigits removes the punctuation of a number. An unescaped plus arrives as a space.
func asDigits(number string) string {
	return strings.NewReplacer("+", "", " ", "", "-", "").Replace(number)
}

func (s *Simulator) find(id string) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests.get(id)
}

// controlDecision responds after the callbacks have been delivered.
func (s *Simulator) controlDecision(w http.ResponseWriter, r *http.Request) {
	// The id may contain a slash, so the path is split at its last one.
	path := r.URL.EscapedPath()[len("/sim/requests/"):]
	at := strings.LastIndexByte(path, '/')
	if at < 0 {
		http.NotFound(w, r)
		return
	}
	id, err := url.PathUnescape(path[:at])
	decision := path[at+1:]
	req := s.find(id)
	switch {
	case err != nil || req == nil:
		reply(w, http.StatusNotFound, []byte(`{"error":"no such request"}`))
	case !req.decidable(decision):
		reply(w, http.StatusNotFound, []byte(`{"error":"decide approve, decline or expire, and another for one-tap"}`))
	case !s.decide(req, decision):
		reply(w, http.StatusConflict, []byte(`{"error":"decided already"}`))
	default:
		reply(w, http.StatusOK, []byte(`{}`))
	}
}

// sendCallback sends one callback. The request is {"url": optional, "body": JSON, or a
// string that is sent as it is}.
func (s *Simulator) sendCallback(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2<<20))
	var in struct {
		URL  string          `json:"url"`
		Body json.RawMessage `json:"body"`
	}
	if err != nil || json.Unmarshal(raw, &in) != nil {
		reply(w, http.StatusBadRequest, []byte(`{"error":"send {\"url\": ..., \"body\": ...}"}`))
		return
	}
	app := ""
	if in.URL == "" && len(s.cfg.Apps) > 0 {
		app, in.URL = s.cfg.Apps[0].Name, s.cfg.Apps[0].CallbackURL
	}
	body := []byte(in.Body)
	var text string
	if json.Unmarshal(in.Body, &text) == nil {
		body = []byte(text)
	}
	begun := time.Now()
	status, err := s.post(app, in.URL, body)
	if err != nil {
		reply(w, http.StatusBadGateway, marshal(map[string]string{"error": err.Error()}))
		return
	}
	reply(w, http.StatusOK, marshal(map[string]any{"status": status, "ms": time.Since(begun).Milliseconds()}))
}
