// Package simulator is a Truecaller that runs on a laptop and misbehaves on
// request. It speaks the wire format of the push interface, of one-tap links, of
// the profile interface and of the OAuth interface, delivers callbacks as
// Truecaller would, and has a phone on a web page. It is reached over HTTP alone:
// docs/simulator.md has its numbers and its control interface.
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
	// Apps are those that were registered in its portal. The first is the one
	// whose callbacks tests make up.
	Apps []App
	// BaseURL is the simulator's own address, http://127.0.0.1:9441, which one-tap
	// callbacks name as the host of the profile. "" takes the address under which
	// a link was opened; a person may have typed another one than is configured.
	BaseURL string
	// ApproveAll makes every number approve at once, for load tests.
	ApproveAll bool
	// KeptRequests is how many requests the phones show at most, the newest; 0:
	// 2000.
	KeptRequests int
	// SlowPush is how long the push to number 19 takes; 0: ten seconds. Tests set it
	// to a few times the timeout of the server under test.
	SlowPush time.Duration
	// HTTP delivers callbacks; nil for the usual one. Redirects are not followed,
	// and an answer is waited for no longer than five seconds.
	HTTP *http.Client
	Log  *slog.Logger
}

// App is one registered app.
type App struct {
	Name           string // what the phone shows for a push
	Key            string // the appKey, or partnerKey of a link
	CallbackURL    string
	NativeClientID string // OAuth client id, for native applications; "" for none
}

// Simulator is a running one.
type Simulator struct {
	cfg  Config
	ctx  context.Context
	stop context.CancelFunc
	http *http.Client

	mu           sync.Mutex
	pushes       int // how many there were
	requests     newest[*request]
	tokens       newest[*token]
	codes        newest[*nativeCode]
	nativeTokens newest[*nativeToken]
	visits       map[string]int // how often a number has signed in, of those that change
	log          []Event
}

const (
	keptTokens   = 10_000 // and as many codes
	tokenLife    = 10 * time.Minute
	maxBody      = 16 << 10 // bytes of a request
	answerWithin = 5 * time.Second
)

// New makes a simulator.
func New(c Config) *Simulator {
	c.KeptRequests = cmp.Or(c.KeptRequests, 2000)
	c.SlowPush = cmp.Or(c.SlowPush, 10*time.Second)
	c.Apps = slices.Clone(c.Apps)
	deliver := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	if c.HTTP != nil {
		deliver = *c.HTTP
	}
	// Whether Truecaller follows redirects is not documented. Whoever relies on
	// it would find out in production only.
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

// Close stops what is still to come.
func (s *Simulator) Close() { s.stop() }

// appByKey is the app with this key, nil if there is none.
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

// bearer is the token of an Authorization header, "" without the word Bearer.
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
		panic(err) // these are our own maps
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
