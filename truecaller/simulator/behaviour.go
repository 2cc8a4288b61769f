// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"net/http"
	"strings"
	"time"
)

// behaviour is what a number does without a user. The zero value waits for a decision
// on the phone page.
type behaviour struct {
	decision    string        // approve or decline; "" waits
	after       time.Duration // delay of the decision
	callbacks   int           // how often the callback is sent; 0 means once
	overtakes   bool          // the token arrives before any other response or callback
	noAccount   bool          // the phone has no Truecaller account
	pushStatus  int           // status of the push, if not 200
	pushBody    string
	slowPush    bool   // the push takes Config.SlowPush
	profile     string // name of the profile; "" is the full one
	fails       int    // how many profile requests get 503 first
	tokenStatus int    // status of the profile request, if not 200
	endpoint    string // named in the callback
	otherNumber bool   // the profile is another number's
	changes     bool   // a second Truecaller id at every second sign-in
}

// behaviours are by the last two digits of a number. 18 and 19 concern the push alone:
// with one-tap, 18 waits and 19 approves at once.
var behaviours = map[string]behaviour{
	"05": {decision: approve},
	"06": {decision: approve, after: 2 * time.Second},
	"07": {},
	"08": {decision: decline, after: time.Second},
	"09": {}, // its user never looks at the phone
	"10": {decision: approve, profile: "no e-mail"},
	"11": {decision: approve, profile: "first name only"},
	"12": {decision: approve, callbacks: 3},
	"13": {decision: approve, overtakes: true},
	"14": {decision: approve, otherNumber: true},
	"15": {decision: approve, tokenStatus: http.StatusUnauthorized},
	"16": {decision: approve, fails: 2},
	"17": {noAccount: true, pushStatus: http.StatusForbidden,
		pushBody: `{"code":1008,"message":"Forbidden: It is forbidden to use sdk login for this phone number."}`},
	"18": {pushStatus: http.StatusServiceUnavailable, pushBody: `{"code":503,"message":"Service unavailable"}`},
	"19": {decision: approve, slowPush: true},
	"20": {decision: approve, endpoint: foreign},
	"21": {decision: approve, profile: "strings"},
	"22": {decision: approve, profile: "huge"},
	"23": {decision: approve, profile: "hostile text"},
	"24": {decision: approve, changes: true},
}

// fiction is the prefix of the numbers with a behaviour: Swedish numbers that are
// reserved for fiction, +46 70 174 06 XX.
const fiction = "467017406"

// foreign is the endpoint in the callback of number 20.
const foreign = "https://profile4.truecaller.com.evil.example/v1/default"

func (s *Simulator) behaviour(number string) behaviour {
	if s.cfg.ApproveAll {
		return behaviour{decision: approve}
	}
	return behaviours[fictional(number)]
}

// fictional returns the last two digits of a number that is reserved for fiction,
// "" of any other.
func fictional(number string) string {
	if digits, ok := strings.CutPrefix(number, fiction); ok && len(digits) == 2 {
		return digits
	}
	return ""
}
