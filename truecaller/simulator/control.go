package simulator

import (
	"embed"
	"encoding/json"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"
)

// Handler serves Truecaller's interfaces, the phone page and the control
// interface for tests (for the OAuth interface see nativeRoutes):
//
//	POST /v1/apps/requests             the push interface
//	GET  /v1/default                   the profile interface
//	GET  /                             the phone
//	GET  /sim/requests?phone=          what is pending, as JSON
//	POST /sim/requests/{id}/{decision} approve, decline or expire
//	POST /sim/callback                 sends a callback of the caller's choosing
//	GET  /sim/log                      everything that happened
func (s *Simulator) Handler() http.Handler {
	r := chi.NewRouter()
	r.Post("/v1/apps/requests", s.push)
	r.Get("/v1/default", s.profile)
	s.nativeRoutes(r)
	r.Get("/", s.phonePage)
	// A page of another site must not press the phone's buttons.
	guarded := http.NewCrossOriginProtection()
	r.Method(http.MethodPost, "/phone", guarded.Handler(http.HandlerFunc(s.phoneDecision)))
	r.Get("/sim/requests", s.pending)
	r.Method(http.MethodPost, "/sim/requests/*", guarded.Handler(http.HandlerFunc(s.controlDecision)))
	r.Method(http.MethodPost, "/sim/callback", guarded.Handler(http.HandlerFunc(s.sendCallback)))
	r.Get("/sim/log", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		events := slices.Clone(s.log)
		s.mu.Unlock()
		reply(w, http.StatusOK, marshal(map[string]any{"events": events}))
	})
	return r
}

// Pending is a request that nobody has decided.
type Pending struct {
	RequestID string    `json:"requestId"`
	Phone     string    `json:"phone"`
	App       string    `json:"app"`
	Received  time.Time `json:"received"`
}

func (s *Simulator) open(phone string) []Pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := []Pending{}
	for _, req := range s.requests {
		if req.Decided == "" && (phone == "" || req.Number == phone) && time.Since(req.Received) < 10*time.Minute {
			open = append(open, Pending{req.ID, req.Number, req.App, req.Received})
		}
	}
	slices.Reverse(open) // newest first
	return open
}

func (s *Simulator) pending(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, marshal(s.open(r.URL.Query().Get("phone"))))
}

func (s *Simulator) find(id string) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

func (s *Simulator) controlDecision(w http.ResponseWriter, r *http.Request) {
	// The id may hold a slash, and so the path is taken apart from its end.
	path := r.URL.EscapedPath()[len("/sim/requests/"):]
	at := lastSlash(path)
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
	case decision != "approve" && decision != "decline" && decision != "expire":
		reply(w, http.StatusNotFound, []byte(`{"error":"decide approve, decline or expire"}`))
	case !s.decide(req, decision):
		reply(w, http.StatusConflict, []byte(`{"error":"decided already"}`))
	default:
		reply(w, http.StatusOK, []byte(`{}`))
	}
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}

// sendCallback posts {"url": optional, "body": any JSON, or a string to be sent
// as it is}.
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
	if in.URL == "" {
		in.URL = s.CallbackURL
	}
	body := []byte(in.Body)
	var text string
	if json.Unmarshal(in.Body, &text) == nil {
		body = []byte(text)
	}
	begun := time.Now()
	status, err := s.callback(in.URL, body)
	if err != nil {
		reply(w, http.StatusBadGateway, marshal(map[string]string{"error": err.Error()}))
		return
	}
	reply(w, http.StatusOK, marshal(map[string]any{"status": status, "ms": time.Since(begun).Milliseconds()}))
}

//go:embed phone.html phone.css
var files embed.FS

var phoneTemplate = template.Must(template.ParseFS(files, "phone.html"))

func (s *Simulator) phonePage(w http.ResponseWriter, r *http.Request) {
	css, err := files.ReadFile("phone.css")
	if err != nil {
		panic(err) // it is embedded
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	nonce := rand64()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	err = phoneTemplate.Execute(w, map[string]any{
		"Nonce": nonce, "CSS": template.CSS(css), "Open": s.open(r.URL.Query().Get("number")),
	})
	if err != nil && s.Log != nil {
		s.Log.Error("the phone page", "error", err)
	}
}

func (s *Simulator) phoneDecision(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	decision := r.PostFormValue("decision")
	if req := s.find(r.PostFormValue("request")); req != nil && (decision == "approve" || decision == "decline") {
		s.decide(req, decision)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
