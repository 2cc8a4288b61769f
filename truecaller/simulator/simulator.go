// Package simulator is a Truecaller that runs on a laptop and misbehaves on
// request. It speaks the wire format of the push interface and of the profile
// interface, delivers callbacks as Truecaller would, and has a phone on a web
// page. It is reached over HTTP alone.
package simulator

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Config is what a Simulator needs.
type Config struct {
	// Apps are those that were registered in its portal. The first is the one
	// whose callbacks tests make up.
	Apps []App
	// ApproveAll makes every number approve at once, for load tests.
	ApproveAll bool
	// KeptRequests is how many requests the phones show at most, the newest; 0:
	// 2000.
	KeptRequests int
	// HTTP delivers callbacks; nil for the usual one.
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
	Config
	ctx  context.Context
	stop context.CancelFunc
	http *http.Client

	mu       sync.Mutex
	requests []*request // oldest first
	received int        // how many there were
	byID     map[string]*request
	tokens   map[string]*token
	issued   []string       // the keys of tokens, oldest first
	visits   map[string]int // how often a number has signed in

	codes        map[string]*nativeCode
	nativeTokens map[string]*nativeToken

	log []Event
}

// request is one push, or one link that was opened.
type request struct {
	ID, State, Number string
	app               *App
	Link              *Link  // of one-tap; nil for a push
	base              string // of one-tap: the simulator's own address
	Received          time.Time
	Decided           string // "", approve, decline, another or expire
}

type token struct {
	number  string
	kind    string // of profile
	person  int    // which holder of the number
	expires time.Time
	fails   int // how many more requests answer 503
	status  int // what it answers instead of a profile
}

// Event is a line of the log.
type Event struct {
	At     time.Time       `json:"at"`
	What   string          `json:"what"` // push, link, profile, callback, native code, native token, native userinfo
	Phone  string          `json:"phone,omitempty"`
	AppKey bool            `json:"app_key_present,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	Status int             `json:"status"`

	Warnings []string `json:"warnings,omitempty"` // about a link
}

const (
	keptEvents = 2000
	keptTokens = 10_000
	keptBody   = 4 << 10 // bytes of a body in the log
	tokenLife  = 10 * time.Minute
	foreign    = "https://profile4.truecaller.com.evil.example/v1/default"
)

// New makes a simulator.
func New(c Config) *Simulator {
	c.KeptRequests = cmp.Or(c.KeptRequests, 2000)
	ctx, stop := context.WithCancel(context.Background())
	deliver := c.HTTP
	if deliver == nil {
		deliver = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	}
	return &Simulator{Config: c, ctx: ctx, stop: stop, http: deliver,
		byID: map[string]*request{}, tokens: map[string]*token{}, visits: map[string]int{},
		codes: map[string]*nativeCode{}, nativeTokens: map[string]*nativeToken{}}
}

// Close stops what is still to come.
func (s *Simulator) Close() { s.stop() }

func rand64() string { return base64.RawURLEncoding.EncodeToString(random(16)) }
