// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// One-tap (docs/truecaller.md section 2): a browser on the phone opens a link, and the
// app shows its dialog. A laptop has no such app, so a test or a developer passes the
// link to the simulator:
//
//	POST /sim/open          {"link": "truecallersdk://...", "phone": "46701740605", "as": "08"}
//	GET  /phone/open?link=  a form for it; the dialog is on the phone page
//
// phone is the number of the phone's account; the default waits for a decision. Numbers
// behave as for pushes, and as names another row of that table. Without an account (17)
// nothing happens, as documented; a phone without the app never opens the link. The
// dialog sends a callback when it opens, and another with the decision.

// defaultDevice is the number of an unnamed phone.
const defaultDevice = fiction + "07"

// opened is the response to a link that opens Truecaller.
type opened struct {
	RequestID string   `json:"requestId"`
	Dialog    bool     `json:"dialog"`           // whether the dialog appears
	Reason    string   `json:"reason,omitempty"` // why it does not appear
	Warnings  []string `json:"warnings"`
}

// device is the phone on which a link is opened.
type device struct {
	number string
	does   behaviour
}

// deviceOf returns the phone with this number; as is "" or two digits of the table of
// behaviours.
func (s *Simulator) deviceOf(number, as string) (device, error) {
	if number = asDigits(number); number == "" {
		number = defaultDevice
	}
	if !isNumber(number) {
		return device{}, fmt.Errorf("%.20q is not a number like 46701740605 (parameter phone)", number)
	}
	if as == "" {
		return device{number, s.behaviour(number)}, nil
	}
	does, ok := behaviours[as]
	if !ok {
		return device{}, fmt.Errorf("%.20q is not a test number such as 08 (parameter as)", as)
	}
	return device{number, does}, nil
}

// open is POST /sim/open. It responds after the callback about the open dialog.
func (s *Simulator) open(w http.ResponseWriter, r *http.Request) {
	var in struct{ Link, Phone, As string }
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	body.DisallowUnknownFields() // a test that misspells phone would use the default one
	if err := body.Decode(&in); err != nil {
		reply(w, http.StatusBadRequest,
			[]byte(`{"error":"send {\"link\": \"truecallersdk://...\", \"phone\": \"46701740605\"}"}`))
		return
	}
	phone, err := s.deviceOf(in.Phone, in.As)
	if err != nil {
		reply(w, http.StatusBadRequest, marshal(map[string]string{"error": err.Error()}))
		return
	}
	answer, err := s.openLink(in.Link, phone, s.address(r))
	if err != nil {
		reply(w, http.StatusUnprocessableEntity, marshal(map[string]string{"error": err.Error()}))
		return
	}
	reply(w, http.StatusOK, marshal(answer))
}

// address returns the simulator's own address.
func (s *Simulator) address(r *http.Request) string {
	if s.cfg.BaseURL != "" {
		return strings.TrimSuffix(s.cfg.BaseURL, "/")
	}
	return "http://" + r.Host
}

// openLink opens a link on a phone. base is the simulator's own address, for the
// endpoint of the callback. A link that opens nothing is an error.
func (s *Simulator) openLink(raw string, phone device, base string) (opened, error) {
	event := Event{What: "link", Phone: phone.number, Status: http.StatusOK}
	defer func() { s.record(event) }()
	link, warnings, err := ParseLink(raw)
	if err != nil {
		event.Status, event.Error = http.StatusUnprocessableEntity, err.Error()
		return opened{}, err
	}
	answer := opened{RequestID: link.Nonce, Warnings: append([]string{}, warnings...)}
	event.RequestID, event.Warnings = link.Nonce, warnings
	app := s.appByKey(link.PartnerKey)
	switch {
	case app == nil:
		answer.Reason = "no app has this partnerKey"
	case phone.does.noAccount:
		answer.Reason = "no user is signed in to Truecaller on this phone"
	}
	if answer.Reason != "" {
		event.Status, event.Error = http.StatusNotFound, answer.Reason
		return answer, nil
	}
	answer.Dialog, event.App = true, app.Name
	s.show(s.keep(&request{
		ID:       link.Nonce,
		Number:   phone.number,
		app:      app,
		does:     phone.does,
		Link:     &link,
		Warnings: warnings,
		base:     base,
		Received: time.Now(),
	}))
	return answer, nil
}

// show opens the dialog and sends a callback about it. Another callback follows with the
// decision, or when the dialog closes by itself.
func (s *Simulator) show(req *request) {
	if req.Link.TTL > 0 {
		time.AfterFunc(req.Link.TTL, func() { s.decide(req, decline) })
	}
	if req.does.overtakes {
		s.decide(req, req.does.decision)
	}
	s.callback(req.app, marshal(map[string]string{"requestId": req.ID, "status": "flow_invoked"}))
	s.byItself(req)
}
