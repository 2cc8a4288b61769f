// SPDX-License-Identifier: Apache-2.0

// Package probe shows `calleridp doctor` how requests reach a server: through the same
// proxies, on the same paths and over the same addresses as callbacks and live events.
//
//	probe.go   what is asked and reported, sealed
//	server.go  recognises a probe among the requests, and reports or streams
//
// A probe is a token in the path, in the place of a callback secret or of the id of an
// attempt. It is sealed under the master key: the user of doctor has that key, and a
// stranger can neither make a probe nor read what a server reports. So every server of a
// deployment recognises it, and none keeps anything of it. A probe that someone copies
// from a proxy's log gives them a report that they cannot read, for as long as it is
// valid. What is no valid probe goes on as any other request, and is answered as such.
package probe

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/endpoint"
)

// Kind is what a probe asks for.
type Kind string

// The kinds of probes, each on the path of what it stands for.
const (
	Callback Kind = "callback" // a Report, on the callback path of an app
	Events   Kind = "events"   // a stream of events, on the path of a waiting page's
)

// Life is how long a probe is valid, before and after the time at which it was made: the
// clocks of two machines may differ by a part of it.
const Life = 10 * time.Minute

// CookieName is the cookie that a report comes with. Over HTTPS it has the __Host- prefix,
// like all of ours.
const CookieName = "calleridp_probe"

// prefix begins a token. It holds no secret; it spares other requests the look.
const prefix = "probe-"

// Report is how a probe reached the server.
type Report struct {
	Time      time.Time `json:"time"`      // of the server's clock
	Peer      string    `json:"peer"`      // the address at the other side of the connection
	Trusted   bool      `json:"trusted"`   // whether that is one of trusted_proxies
	Client    string    `json:"client"`    // whom the server takes for the sender
	Forwarded []string  `json:"forwarded"` // the X-Forwarded-For headers
	Host      string    `json:"host"`      // the Host header
	Proto     string    `json:"proto"`     // of the last connection, such as HTTP/1.1
	Method    string    `json:"method"`
	Body      int64     `json:"body"`   // bytes that arrived of the request's body
	Cookie    string    `json:"cookie"` // the value of the cookie that came back
}

// token is what is sealed in a probe.
type token struct {
	Kind Kind      `json:"kind"`
	Made time.Time `json:"made"`
}

// ErrReport means that a text holds no report of a server with this master key.
var ErrReport = errors.New("probe: no report of a server with this master key")

// Token returns a new probe.
func Token(master *keys.Master, kind Kind, now time.Time) string {
	return prefix + seal(master, keys.PurposeProbe, token{kind, now})
}

// CallbackPath returns where a probe of the kind Callback goes.
func CallbackPath(app, token string) string { return endpoint.PathCallback + app + "/" + token }

// EventsPath returns where a probe of the kind Events goes.
func EventsPath(token string) string { return endpoint.PathAttempt + token + "/events" }

// opens reports whether text is a probe of this kind that is valid at now.
func opens(master *keys.Master, kind Kind, text string, now time.Time) bool {
	sealed, ok := strings.CutPrefix(text, prefix)
	if !ok || len(sealed) > 512 {
		return false
	}
	var t token
	if unseal(master, keys.PurposeProbe, sealed, &t) != nil {
		return false
	}
	age := now.Sub(t.Made)
	return t.Kind == kind && age < Life && age > -Life
}

// The report stands in the body between these, with room around it: proxies compress what
// is long enough.
const (
	pageBegin = "<!doctype html><title>A probe of calleridp doctor</title><!--"
	pageEnd   = "-->\n"
	room      = 4 << 10
)

// page returns the response that carries a report.
func page(master *keys.Master, r Report) []byte {
	return []byte(pageBegin + seal(master, keys.PurposeProbeReport, r) + pageEnd + strings.Repeat(" ", room))
}

// ParseReport reads the response to a probe of the kind Callback. It returns ErrReport for
// every other text.
func ParseReport(master *keys.Master, body []byte) (Report, error) {
	text, ok := strings.CutPrefix(string(body), pageBegin)
	text, _, end := strings.Cut(text, "-->")
	var r Report
	if !ok || !end || unseal(master, keys.PurposeProbeReport, text, &r) != nil {
		return Report{}, ErrReport
	}
	return r, nil
}

func seal(master *keys.Master, p keys.Purpose, v any) string {
	plain, err := json.Marshal(v)
	if err != nil {
		panic(err) // all values are our own structs
	}
	return base64.RawURLEncoding.EncodeToString(master.Seal(p, plain, nil))
}

func unseal(master *keys.Master, p keys.Purpose, text string, v any) error {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	plain, err := master.Open(p, sealed, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, v)
}
