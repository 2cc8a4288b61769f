package simulator

import (
	"embed"
	"encoding/json"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// Handler serves Truecaller's interfaces, the phone page and the control
// interface for tests (for the OAuth interface see nativeRoutes):
//
//	POST /v1/apps/requests             the push interface
//	GET  /v1/default                   the profile interface
//	GET  /, GET /phone                 the phone
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
	r.Get("/phone/open", s.phoneForm)
	// A page of another site must not press the phone's buttons.
	guarded := http.NewCrossOriginProtection()
	r.Method(http.MethodPost, "/sim/open", guarded.Handler(http.HandlerFunc(s.open)))
	r.Method(http.MethodPost, "/phone/open", guarded.Handler(http.HandlerFunc(s.phoneOpen)))
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
	Kind      string    `json:"kind"` // push or onetap
	Phone     string    `json:"phone"`
	App       string    `json:"app"`
	Received  time.Time `json:"received"`
	Link      *Link     `json:"link,omitempty"` // of one-tap
}

func (s *Simulator) waiting(phone string) []Pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := []Pending{}
	for _, req := range s.requests {
		if req.Decided == "" && (phone == "" || req.Number == phone) && time.Since(req.Received) < 10*time.Minute {
			p := Pending{RequestID: req.ID, Kind: "push", Phone: req.Number, App: req.app.Name, Received: req.Received, Link: req.Link}
			if req.Link != nil {
				p.Kind, p.App = "onetap", req.Link.PartnerName
			}
			open = append(open, p)
		}
	}
	slices.Reverse(open) // newest first
	return open
}

func (s *Simulator) pending(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, marshal(s.waiting(r.URL.Query().Get("phone"))))
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
	case decision != "approve" && decision != "decline" && decision != "expire" && (decision != "another" || req.Link == nil):
		reply(w, http.StatusNotFound, []byte(`{"error":"decide approve, decline or expire, and another for one-tap"}`))
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
	if in.URL == "" && len(s.Apps) > 0 {
		in.URL = s.Apps[0].CallbackURL
	}
	body := []byte(in.Body)
	var text string
	if json.Unmarshal(in.Body, &text) == nil {
		body = []byte(text)
	}
	begun := time.Now()
	status, err := s.post(in.URL, body)
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
	s.showPhone(w, map[string]any{"Open": s.waiting(r.URL.Query().Get("number"))})
}

func (s *Simulator) phoneForm(w http.ResponseWriter, _ *http.Request) {
	s.showPhone(w, map[string]any{"Form": true, "Open": nil})
}

func (s *Simulator) showPhone(w http.ResponseWriter, shown map[string]any) {
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
	shown["Nonce"], shown["CSS"] = nonce, template.CSS(css)
	err = phoneTemplate.Execute(w, shown)
	if err != nil && s.Log != nil {
		s.Log.Error("the phone page", "error", err)
	}
}

func (s *Simulator) phoneDecision(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	decision := r.PostFormValue("decision")
	if req := s.find(r.PostFormValue("request")); req != nil && (decision == "approve" || decision == "decline" || decision == "another" && req.Link != nil) {
		s.decide(req, decision)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// phoneOpen opens a link that somebody has pasted.
func (s *Simulator) phoneOpen(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if _, err := s.openLink(strings.TrimSpace(r.PostFormValue("link")), r.PostFormValue("phone"), "http://"+r.Host); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
