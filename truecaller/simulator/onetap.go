package simulator

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// One-tap (truecaller.md section 2): a browser on the phone opens a link, and the
// app shows its dialog. A laptop has no such app, so the link is given to the
// simulator by hand or by a test:
//
//	POST /sim/open          {"link": "truecallersdk://...", "phone": "46701740605"}
//	GET  /phone             a field for the link, and the dialogs
//
// phone is the number of the account on that phone; without one it is a phone that
// waits for its person. A number ending in 17 has no account: nothing happens, as
// documented. The dialog tells the callback that it is open, and then what the
// person decides. What comes of numbers is the same as for pushes.

// defaultDevice is the number of a phone that nobody has named.
const defaultDevice = fiction + "07"

// open is POST /sim/open. It answers {"requestId"} and the warnings about the
// link, or why the phone does not open it.
func (s *Simulator) open(w http.ResponseWriter, r *http.Request) {
	var in struct{ Link, Phone string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
		reply(w, http.StatusBadRequest, []byte(`{"error":"send {\"link\": \"truecallersdk://...\", \"phone\": \"46701740605\"}"}`))
		return
	}
	warnings, err := s.openLink(in.Link, in.Phone, "http://"+r.Host)
	if err != nil {
		reply(w, http.StatusUnprocessableEntity, marshal(map[string]string{"error": err.Error()}))
		return
	}
	reply(w, http.StatusOK, marshal(map[string]any{"warnings": warnings}))
}

// openLink is what the phone does with a link. base is the simulator's own
// address, for the endpoint of the callback.
func (s *Simulator) openLink(raw, number, base string) (warnings []string, err error) {
	number = strings.TrimPrefix(strings.TrimSpace(number), "+")
	if number == "" {
		number = defaultDevice
	}
	event := Event{What: "link", Phone: number, Status: http.StatusOK}
	defer func() { s.record(event) }()
	link, warnings, err := ParseLink(raw)
	event.Warnings = warnings
	if err != nil {
		event.Status = http.StatusUnprocessableEntity
		return nil, err
	}
	app := s.appByKey(link.PartnerKey)
	b := s.behaviour(number)
	if app == nil || b.pushStatus == http.StatusForbidden {
		// An unknown partner, or nobody signed in: the dialog does not appear.
		event.Status = http.StatusNotFound
		return warnings, nil
	}
	req := s.keep(&request{ID: link.Nonce, Number: number, app: app, Link: &link, base: base, Received: time.Now()})
	invoked := marshal(map[string]string{"requestId": req.ID, "status": "flow_invoked"})
	if b.overtakes {
		s.decide(req, b.decision)
		s.callback(app.CallbackURL, invoked)
		return warnings, nil
	}
	go func() {
		s.callback(app.CallbackURL, invoked)
		if b.decision == "approve" || b.decision == "decline" {
			time.AfterFunc(b.after, func() { s.decide(req, b.decision) })
		}
	}()
	if link.TTL > 0 {
		time.AfterFunc(link.TTL, func() { s.decide(req, "decline") })
	}
	return warnings, nil
}
