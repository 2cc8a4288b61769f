// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
)

//go:embed phone.html phone.css
var files embed.FS

var phoneTemplate = template.Must(template.ParseFS(files, "phone.html"))

// screen is what the phone page shows: the requests, or the form for a link.
type screen struct {
	Nonce string
	CSS   template.CSS

	Requests []shownRequest
	Number   string // of the one phone that is shown; "" shows all

	Form            bool
	Link, Phone     string // the form's fields
	Problem, Reason string // why the link opens nothing, why its dialog does not appear
	Warnings        []string
}

type shownRequest struct {
	Pending
	ID   string    // of the element
	Ends time.Time // when the dialog closes by itself; zero: never
}

func (s *Simulator) phonePage(w http.ResponseWriter, r *http.Request) {
	shown := screen{Number: asDigits(r.URL.Query().Get("number"))}
	for i, p := range s.waiting(shown.Number) {
		request := shownRequest{Pending: p, ID: fmt.Sprint("request-", i)}
		if p.Dialog != nil {
			shown.CSS += request.look()
			if p.Dialog.TTL > 0 {
				request.Ends = p.Received.Add(time.Duration(p.Dialog.TTL) * time.Millisecond)
			}
		}
		shown.Requests = append(shown.Requests, request)
	}
	s.showPhone(w, http.StatusOK, shown)
}

// look returns the colours and shape of the dialog's button. ParseLink accepts no colour
// other than #RRGGBB.
func (r shownRequest) look() (css template.CSS) {
	rule := func(format, value string) {
		if value != "" {
			css += template.CSS("#" + r.ID + " .yes{" + fmt.Sprintf(format, value) + "}")
		}
	}
	rule("background:%[1]s;border-color:%[1]s", r.Dialog.Color)
	rule("color:%s", r.Dialog.TextColor)
	if r.Dialog.Round {
		rule("border-radius:%s", "2rem")
	}
	return css
}

// openPage is GET /phone/open: a form, with the warnings about the link in the address.
// It does not open the link.
func (s *Simulator) openPage(w http.ResponseWriter, r *http.Request) {
	shown := screen{Form: true, Link: strings.TrimSpace(r.URL.Query().Get("link")), Phone: r.URL.Query().Get("phone")}
	if shown.Link != "" {
		_, warnings, err := ParseLink(shown.Link)
		if shown.Warnings = warnings; err != nil {
			shown.Problem = err.Error()
		}
	}
	s.showPhone(w, http.StatusOK, shown)
}

// phoneOpen opens the link of the form.
func (s *Simulator) phoneOpen(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	shown := screen{Form: true, Link: strings.TrimSpace(r.PostFormValue("link")), Phone: r.PostFormValue("phone")}
	phone, err := s.deviceOf(shown.Phone, "")
	var answer opened
	if err == nil {
		answer, err = s.openLink(shown.Link, phone, s.address(r))
	}
	switch {
	case err != nil:
		shown.Problem = err.Error()
		s.showPhone(w, http.StatusUnprocessableEntity, shown)
	case !answer.Dialog:
		shown.Reason, shown.Warnings = answer.Reason, answer.Warnings
		s.showPhone(w, http.StatusOK, shown)
	default:
		http.Redirect(w, r, "/phone", http.StatusSeeOther)
	}
}

func (s *Simulator) phoneDecision(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	decision := r.PostFormValue("decision")
	if req := s.find(r.PostFormValue("request")); req != nil && req.decidable(decision) {
		s.decide(req, decision)
	}
	back := "/phone"
	if number := r.PostFormValue("number"); number != "" {
		back += "?number=" + url.QueryEscape(number)
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (s *Simulator) showPhone(w http.ResponseWriter, status int, shown screen) {
	css, err := files.ReadFile("phone.css")
	if err != nil {
		panic(err) // it is embedded
	}
	shown.CSS = template.CSS(css) + shown.CSS
	shown.Nonce = rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+shown.Nonce+"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if err := phoneTemplate.Execute(w, shown); err != nil && s.cfg.Log != nil {
		s.cfg.Log.Error("the phone page", "error", err)
	}
}
