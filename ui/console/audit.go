// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/audit"
	"calleridp/provider/console"
)

type auditPage struct {
	Event, Client, Subject, Operator, Since, Until string // the filters, as they were typed

	Known []audit.Name // what is offered for Event
	Lines []auditLine
	Next  string // the address of the next page

	Filtered bool // the form is open
}

type auditLine struct {
	admin.AuditLine
	Details []entry
}

// minuteFormats are how browsers send the moment of a field.
var minuteFormats = []string{"2006-01-02T15:04", "2006-01-02T15:04:05"}

// audit shows the newest lines that the filters want. Their form is a GET, so that an
// operator can keep the address: a phone number has no filter, and the fields for whom the
// line is about refuse one (invariant 10).
func (h *handler) audit(w http.ResponseWriter, r *http.Request, s console.Session) error {
	given := r.URL.Query()
	p := auditPage{
		Event:    strings.TrimSpace(given.Get("event")),
		Client:   strings.TrimSpace(given.Get("client")),
		Subject:  strings.TrimSpace(given.Get("sub")),
		Operator: strings.TrimSpace(given.Get("operator")),
		Since:    given.Get("since"),
		Until:    given.Get("until"),
		Known:    knownEvents(),
	}
	p.Filtered = p.Event+p.Client+p.Subject+p.Operator+p.Since+p.Until != ""
	in := &admin.AuditQuery{Cursor: given.Get("cursor"), Limit: 50, Client: p.Client, Subject: p.Subject, Operator: p.Operator}
	for name := range strings.FieldsFuncSeq(p.Event, func(c rune) bool { return c == ',' || c == ' ' }) {
		in.Event = append(in.Event, name)
	}
	var wrong []string
	in.Since, wrong = moment(wrong, "Since", p.Since)
	in.Until, wrong = moment(wrong, "Until", p.Until)
	if len(wrong) > 0 {
		h.page(w, r, &s, http.StatusUnprocessableEntity, "audit", view{Title: "Audit", Page: p, Problem: &problem{Detail: "Some fields need a change:", Errors: wrong}})
		return nil
	}
	list, err := h.cfg.API.ListAudit(r.Context(), in)
	if told, status := refusal(err); told != nil {
		h.page(w, r, &s, status, "audit", view{Title: "Audit", Page: p, Problem: told})
		return nil
	}
	if err != nil {
		return err
	}
	for _, l := range list.Body.Items {
		p.Lines = append(p.Lines, auditLine{l, detailsOf(l)})
	}
	if list.Body.Next != "" {
		next := url.Values{"cursor": {list.Body.Next}}
		for _, name := range []string{"event", "client", "sub", "operator", "since", "until"} {
			if value := given.Get(name); value != "" {
				next.Set(name, value)
			}
		}
		p.Next = "/console/audit?" + next.Encode()
	}
	h.page(w, r, &s, http.StatusOK, "audit", view{Title: "Audit", Page: p})
	return nil
}

// moment reads a field with a time in UTC, and adds to wrong what is wrong with it.
func moment(wrong []string, name, text string) (time.Time, []string) {
	if text == "" {
		return time.Time{}, wrong
	}
	for _, format := range minuteFormats {
		if at, err := time.Parse(format, text); err == nil {
			return at, wrong
		}
	}
	return time.Time{}, append(wrong, name+": write a date and a time, like 2026-11-30T06:20")
}

// knownEvents returns the names of events, and what those begin with that have a family.
func knownEvents() (names []audit.Name) {
	for _, d := range slices.Concat(audit.Events, audit.TrailEvents) {
		family, _, _ := strings.Cut(string(d.Name), ".")
		names = append(names, d.Name, audit.Name(family+"."))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// placed are the keys of a line that have a column, or that say nothing to a reader.
var placed = []string{"seq", "time", "server", "event", "level", "prev", "mac"}

// detailsOf returns the other keys of a line.
func detailsOf(l admin.AuditLine) (details []entry) {
	for _, key := range slices.Sorted(maps.Keys(l.Line)) {
		value, ok := l.Line[key].(string)
		if !ok {
			raw, err := json.Marshal(l.Line[key])
			if err != nil {
				continue // a value that was decoded from JSON has one
			}
			value = string(raw)
		}
		if value != "" && !slices.Contains(placed, key) {
			details = append(details, entry{key, value})
		}
	}
	return details
}
