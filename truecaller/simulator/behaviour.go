package simulator

import (
	"net/http"
	"strings"
	"time"
)

// behaviour is what a number does by itself. The zero value waits for the phone
// page.
type behaviour struct {
	decision    string        // approve or decline; "" decides nothing by itself
	after       time.Duration // how long the person takes
	callbacks   int           // how often the callback is sent; 0 means once
	overtakes   bool          // the token is delivered before anything else is said
	noAccount   bool          // nobody is signed in to Truecaller on that phone
	pushStatus  int           // what the push answers instead of 200
	pushBody    string
	slowPush    bool   // the push is answered after Config.SlowPush
	profile     string // name of the profile; "" is the full one
	fails       int    // how often the profile answers 503 first
	tokenStatus int    // what the profile answers to the token
	endpoint    string // named in the callback
	otherNumber bool   // the profile is another number's
	changes     bool   // a second Truecaller id at every second sign-in
}

// behaviours are fixed by the last two digits of a number. What is about the push
// (18, 19) has no meaning for one-tap: 18 waits there, and 19 approves at once.
var behaviours = map[string]behaviour{
	"05": {decision: approve},
	"06": {decision: approve, after: 2 * time.Second},
	"07": {},
	"08": {decision: decline, after: time.Second},
	"09": {}, // the phone of somebody who never looks at it
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

// fiction is the range of numbers that do something by themselves: Swedish ones
// reserved for fiction, +46 70 174 06 XX.
const fiction = "467017406"

// foreign is where number 20 sends the token.
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
