// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// token is the access token of an approval.
type token struct {
	app     string // for the log; the profile interface does not check it
	number  string
	kind    string // of profile
	person  int    // which holder of the number
	expires time.Time
	fails   int // how many more requests get 503
	status  int // status of the profile request, if not 200
}

// profile is GET /v1/default (docs/truecaller.md section 4).
func (s *Simulator) profile(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	t := s.tokens.get(bearer(r))
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
	if t != nil {
		event.App, event.Phone = t.app, t.number
	}
	s.record(event)
	switch status {
	case http.StatusOK:
		reply(w, status, profileOf(t.kind, t.number, idOf(t.number, t.person)))
	case http.StatusUnauthorized:
		reply(w, status, []byte(`{"status":40101,"message":"Unauthorized"}`))
	default:
		reply(w, status, []byte(`{"status":50301,"message":"Unavailable"}`))
	}
}

// profileOf returns the body of a profile, in the forms that Truecaller documents and in
// some that it should not send.
func profileOf(kind, number, id string) []byte {
	switch kind {
	case "no e-mail":
		return marshal(map[string]any{
			"id":               id,
			"phoneNumbers":     []json.Number{json.Number(number)},
			"name":             map[string]any{"first": "Nils", "last": "Ek"},
			"onlineIdentities": map[string]any{"url": "https://nils.example"},
			"isActive":         true,
			"gender":           "Male",
			"badges":           []string{},
		})
	case "first name only":
		return marshal(map[string]any{
			"phoneNumbers": []json.Number{json.Number(number)},
			"name":         map[string]any{"first": "Mira"},
		})
	case "strings":
		return marshal(map[string]any{
			"id":               id,
			"userId":           "4567890123456789",
			"phoneNumbers":     []string{"919999999999", number, "+46701740698"},
			"name":             map[string]any{"first": "Asha", "last": "Rao"},
			"isActive":         "True",
			"gender":           "NotSet",
			"onlineIdentities": map[string]any{"email": "asha@example.com"},
			"createdTime":      "1379314068000",
			"history":          map[string]any{"name": map[string]any{"updateTime": "1508916139000"}},
		})
	case "huge":
		return marshal(map[string]any{
			"phoneNumbers": []json.Number{json.Number(number)},
			"name":         map[string]any{"first": "Big"},
			"aboutMe":      strings.Repeat("a", 1<<20),
		})
	case "hostile text":
		return marshal(map[string]any{
			"id":           id,
			"phoneNumbers": []json.Number{json.Number(number)},
			"name": map[string]any{
				"first": "\u202eevil\u2066\u0000\u0007\u001b[31m\n<b>" + strings.Repeat("x", 10<<10),
				"last":  "\u200f&\"'",
			},
		})
	}
	return marshal(map[string]any{
		"id":           id,
		"userId":       4567890123456789,
		"phoneNumbers": []json.Number{json.Number(number)},
		"name":         map[string]any{"first": "Anna", "last": "Lind"},
		"onlineIdentity": map[string]any{
			"facebookId": "anna.lind",
			"twitterId":  "annalind",
			"email":      "anna.lind@example.com",
			"url":        "https://anna.example",
		},
		"avatarUrl":   "https://images.example/anna.png",
		"aboutMe":     "Reads a lot.",
		"companyName": "Example AB",
		"jobTitle":    "Librarian",
		"gender":      "Female",
		"addresses": []any{map[string]any{
			"countryCode": "se",
			"city":        "Stockholm",
			"street":      "Drottninggatan 1",
			"zipcode":     "111 51",
		}},
		"badges":   []string{"verified", "premium"},
		"isActive": true,
		"privacy":  "Public",
		"type":     "Personal",
		"history":  map[string]any{"name": map[string]any{"updateTime": 1508916139000}},
	})
}

// idOf returns Truecaller's own id of a number's holder.
func idOf(number string, person int) string {
	return fmt.Sprintf("sim-%s-%d", number[len(number)-4:], person)
}
