package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// One-tap (docs/truecaller.md section 2): a browser on the phone opens a link, and the
// app shows its dialog. A laptop has no such app, so the link is given to the
// simulator by a test or by hand:
//
//	POST /sim/open          {"link": "truecallersdk://...", "phone": "46701740605", "as": "08"}
//	GET  /phone/open?link=  a form for it; the dialog is on the phone page
//
// phone is the number of the account on that phone; without one it is a phone that
// waits for its person. What its numbers do by themselves is the same as for
// pushes, and as names another row of that table. Where nobody is signed in (17),
// nothing happens, as documented; a phone without the app is one that nobody calls.
// The dialog tells the callback that it is open, and then what the person decides.

// defaultDevice is the number of a phone that nobody has named.
const defaultDevice = fiction + "07"

// opened is the answer to a link that opens Truecaller.
type opened struct {
	RequestID string   `json:"requestId"`
	Dialog    bool     `json:"dialog"`           // whether it appears
	Reason    string   `json:"reason,omitempty"` // why it does not
	Warnings  []string `json:"warnings"`
}

// device is the phone on which a link is opened.
type device struct {
	number string
	does   behaviour
}

// deviceOf is the phone with this number; as is "" or two digits of the table of
// behaviours.
func (s *Simulator) deviceOf(number, as string) (device, error) {
	if number = asDigits(number); number == "" {
		number = defaultDevice
	}
	if !isNumber(number) {
		return device{}, fmt.Errorf("phone: %.20q is not a number like 46701740605", number)
	}
	if as == "" {
		return device{number, s.behaviour(number)}, nil
	}
	does, ok := behaviours[as]
	if !ok {
		return device{}, fmt.Errorf("as: %.20q is not one of the numbers that do something by themselves, such as 08", as)
	}
	return device{number, does}, nil
}

// open is POST /sim/open. It answers when the callback has heard that the dialog is
// open.
func (s *Simulator) open(w http.ResponseWriter, r *http.Request) {
	var in struct{ Link, Phone, As string }
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	body.DisallowUnknownFields() // a test that misspells phone would open it on another one
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

// address is the simulator's own.
func (s *Simulator) address(r *http.Request) string {
	if s.cfg.BaseURL != "" {
		return strings.TrimSuffix(s.cfg.BaseURL, "/")
	}
	return "http://" + r.Host
}

// openLink is what a phone does with a link. base is the simulator's own address,
// for the endpoint of the callback. The error is about a link that opens nothing.
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
		answer.Reason = "nobody is signed in to Truecaller on this phone"
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

// show opens the dialog: it says so, and later what its person does, or that it
// has gone away by itself.
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
