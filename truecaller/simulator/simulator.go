// SPDX-License-Identifier: Apache-2.0

// Package simulator simulates Truecaller for development and tests, including its
// failures. It implements the push interface, one-tap links, the profile interface and
// the OAuth interface, sends callbacks, and shows the phones on a web page. It is used
// over HTTP alone: docs/simulator.md has its numbers and its control interface.
package simulator

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is what a Simulator needs.
type Config struct {
	// Apps are the registered apps. Callbacks of a test's own choosing go to the first.
	Apps []App
	// BaseURL is the simulator's own address, such as http://127.0.0.1:9441. One-tap
	// callbacks name it as the host of the profile. "" is the address under which a
	// link was opened, which may differ from the configured one.
	BaseURL string
	// ApproveAll makes every number approve at once, for load tests.
	ApproveAll bool
	// KeptRequests is how many requests the phones show, the newest; 0: 2000.
	KeptRequests int
	// SlowPush is how long the push to number 19 takes; 0: ten seconds. Tests set it
	// to a few times the timeout of the server under test.
	SlowPush time.Duration
	// HTTP sends callbacks; nil: a client with a timeout of five seconds. Redirects are
	// not followed.
	HTTP *http.Client
	Log  *slog.Logger
}

// App is one registered app.
type App struct {
	Name           string // what the phone shows for a push
	Key            string // the appKey, or partnerKey of a link
	CallbackURL    string
	NativeClientID string // OAuth client id, for native applications; "": none
}

// Simulator is a running simulator.
type Simulator struct {
	cfg  Config
	ctx  context.Context
	stop context.CancelFunc
	http *http.Client

	mu           sync.Mutex
	pushes       int // number of pushes so far
	requests     newest[*request]
	tokens       newest[*token]
	codes        newest[*nativeCode]
	nativeTokens newest[*nativeToken]
	visits       map[string]int // sign-ins by number, of those that change holders
	log          []Event
}

const (
	keptTokens   = 10_000 // and codes
	tokenLife    = 10 * time.Minute
	maxBody      = 16 << 10 // bytes of a request
	answerWithin = 5 * time.Second
)

// New returns a simulator.
func New(c Config) *Simulator {
	c.KeptRequests = cmp.Or(c.KeptRequests, 2000)
	c.SlowPush = cmp.Or(c.SlowPush, 10*time.Second)
	c.Apps = slices.Clone(c.Apps)
	deliver := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	if c.HTTP != nil {
		deliver = *c.HTTP
	}
	// Truecaller does not document whether it follows redirects. A server that relies on
	// them would fail in production only.
	deliver.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	deliver.Timeout = cmp.Or(deliver.Timeout, answerWithin)
	ctx, stop := context.WithCancel(context.Background())
	return &Simulator{
		cfg:          c,
		ctx:          ctx,
		stop:         stop,
		http:         &deliver,
		requests:     newestOf[*request](c.KeptRequests),
		tokens:       newestOf[*token](keptTokens),
		codes:        newestOf[*nativeCode](keptTokens),
		nativeTokens: newestOf[*nativeToken](keptTokens),
		visits:       map[string]int{},
	}
}

// Close cancels the callbacks that are still to be sent.
func (s *Simulator) Close() { s.stop() }

// appByKey returns the app with this key, nil if there is none.
func (s *Simulator) appByKey(key string) *App {
	at := slices.IndexFunc(s.cfg.Apps, func(app App) bool { return app.Key == key && key != "" })
	if at < 0 {
		return nil
	}
	return &s.cfg.Apps[at]
}

// Alphabets of what the simulator checks.
const (
	decimal   = "0123456789"
	hex       = decimal + "abcdefABCDEF"
	base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + decimal + "-_"
)

// consistsOf reports whether s has no characters outside alphabet.
func consistsOf(s, alphabet string) bool { return strings.Trim(s, alphabet) == "" }

// isNumber reports whether digits are a phone number in the international form,
// without a plus: 7 to 15 of them, no zero first.
func isNumber(digits string) bool {
	return len(digits) >= 7 && len(digits) <= 15 && digits[0] != '0' && consistsOf(digits, decimal)
}

// bearer returns the token of an Authorization header, "" if it is no bearer token.
func bearer(r *http.Request) string {
	if access, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return access
	}
	return ""
}

func reply(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // all values are our own maps
	}
	return b
}

// randomText returns n random bytes as base64url.
func randomText(n int) string { return base64.RawURLEncoding.EncodeToString(random(n)) }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
