// SPDX-License-Identifier: Apache-2.0

// Package logo serves the logos of clients (logo_uri) for our pages:
// it fetches them, re-encodes them, and serves them. No page refers to the address of a
// client, which would tell the client who looks at our pages.
//
//	logo.go     which logo a client has, and when it is fetched
//	picture.go  makes a small picture of what was fetched
//	serve.go    serves it
package logo

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"sync"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
)

// When logos are fetched, and how much of them is remembered.
const (
	// freshFor is how long a logo is shown without a look at its address.
	freshFor = 24 * time.Hour
	// staleFor is how long it is shown while its address does not respond.
	staleFor = 48 * time.Hour
	// againAfter is how long an address is left alone after a fetch. It doubles with each
	// failure, up to longestPause.
	againAfter   = time.Minute
	longestPause = time.Hour
	// maxFetches is how many addresses are asked at once, for the operator's clients and for
	// those that registered themselves: slow strangers keep no other logo away. More are not
	// asked at all: a later page asks again.
	maxFetches = 4
	// maxKnown is how many addresses are remembered, those without a logo included, and
	// maxMemory how many bytes of logos.
	maxKnown  = 2000
	maxMemory = 16 << 20
)

// Fetcher reads what clients publish, and bounds its size and how long it takes.
// *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, address, accept string) ([]byte, error)
}

// Clients is the registry. *client.Registry is one.
type Clients interface {
	Client(ctx context.Context, id string) (client.Client, error)
}

// Config is what Logos need. Everything is required, unless it says so.
type Config struct {
	Fetch   Fetcher
	Clients Clients
	// Strangers says that clients which registered themselves show their logos too. Nothing
	// proves that a logo is theirs.
	Strangers bool
	Log       *slog.Logger
}

// Logos knows the logos of clients. What it has fetched is this server's own. It is safe for
// concurrent use.
type Logos struct {
	cfg      Config
	fetches  map[bool]chan struct{} // for strangers and others: as many as there are fetches
	decoding chan struct{}          // full while a picture is decoded: one at a time bounds the memory

	mu     sync.Mutex
	known  map[string]*published // by logo_uri
	memory int                   // bytes of the pictures in known
}

// published is what is known of an address. Logos.mu protects it.
type published struct {
	picture []byte // PNG; nil for none
	hash    string
	since   time.Time     // when it was fetched
	next    time.Time     // the address is not asked before
	pause   time.Duration // after the next failure
	done    chan struct{} // closed when the fetch ends; nil when there is none
	used    time.Time
}

// New returns Logos.
func New(cfg Config) *Logos {
	return &Logos{
		cfg:      cfg,
		fetches:  map[bool]chan struct{}{false: make(chan struct{}, maxFetches), true: make(chan struct{}, maxFetches)},
		decoding: make(chan struct{}, 1),
		known:    map[string]*published{},
	}
}

// Of implements endpoint.Logos. It does not wait: a logo that is not known yet is fetched
// for the pages after this one.
func (l *Logos) Of(c client.Client) string {
	uri := l.address(c)
	if uri == "" {
		return ""
	}
	_, hash, _ := l.look(c, uri)
	if hash == "" {
		return ""
	}
	return endpoint.PathClientLogo + c.ID + "/" + hash + ".png"
}

// address returns the logo_uri of a client that may show one, "" for none.
func (l *Logos) address(c client.Client) string {
	if c.Registration != nil && !l.cfg.Strangers {
		return ""
	}
	return c.LogoURI
}

// look returns what is at an address as far as it is known, and has it fetched if that is
// due. fetching is closed when the fetch that goes on has ended; nil if there is none.
func (l *Logos) look(c client.Client, uri string) (picture []byte, hash string, fetching <-chan struct{}) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.known[uri]
	if p == nil {
		p = &published{pause: againAfter}
		l.known[uri] = p
	}
	p.used = now
	l.makeRoom()
	if p.picture != nil && now.Sub(p.since) >= staleFor {
		l.put(uri, p, nil)
	}
	if p.done == nil && !now.Before(p.next) {
		slots := l.fetches[c.Registration != nil]
		select {
		case slots <- struct{}{}:
			p.done = make(chan struct{})
			go func() {
				l.fetch(c.ID, uri, p)
				<-slots
			}()
		default:
		}
	}
	return p.picture, p.hash, p.done
}

// fetch reads the logo at an address. It belongs to no request: an attacker who disconnects could
// otherwise start any number of fetches. The Fetcher bounds how long it takes.
func (l *Logos) fetch(clientID, uri string, p *published) {
	raw, err := l.cfg.Fetch.Get(context.Background(), uri, "image/png, image/jpeg, image/gif")
	var picture []byte
	if err == nil {
		l.decoding <- struct{}{}
		picture, err = Convert(raw)
		<-l.decoding
	}
	now := time.Now()
	l.mu.Lock()
	if err == nil {
		l.put(uri, p, picture)
		p.since, p.next, p.pause = now, now.Add(freshFor), againAfter
	} else {
		p.next = now.Add(p.pause)
		p.pause = min(2*p.pause, longestPause)
	}
	l.makeRoom()
	close(p.done)
	p.done = nil
	l.mu.Unlock()
	if err != nil {
		l.cfg.Log.Warn("a client's logo could not be read: pages show the one of before, for up to two days, or none",
			"client", clientID, "error", err)
	}
}

// put remembers a picture, nil for none. l.mu is locked.
func (l *Logos) put(uri string, p *published, picture []byte) {
	if l.known[uri] == p { // else it was forgotten during its fetch
		l.memory += len(picture) - len(p.picture)
	}
	p.picture, p.hash = picture, ""
	if picture != nil {
		hash := sha256.Sum256(picture)
		p.hash = base64.RawURLEncoding.EncodeToString(hash[:16])
	}
}

// makeRoom forgets what was not used for longest. l.mu is locked.
func (l *Logos) makeRoom() {
	for len(l.known) > maxKnown || l.memory > maxMemory {
		var oldest string
		for uri, p := range l.known {
			if o := l.known[oldest]; o == nil || p.used.Before(o.used) {
				oldest = uri
			}
		}
		l.memory -= len(l.known[oldest].picture)
		delete(l.known, oldest)
	}
}
