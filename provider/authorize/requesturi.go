// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/limit"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Limits on fetching request objects: an attacker can send a request that needs one.
const (
	// referenceFresh is how long contents are used again whose URI does not name their
	// hash, and how long an address is left alone that has failed: a page that is loaded
	// again shortly after, and our own page that sends a form again, cause no second fetch.
	referenceFresh = 10 * time.Second
	// referenceFixed is how long contents are used again whose URI names their hash: they
	// are never wrong.
	referenceFixed = time.Hour
	// maxReferences is how many are remembered, of maxObject bytes at most.
	maxReferences = 500
	// maxFetches and maxClientFetches are how many fetches are under way at once, of all
	// clients and of one: an address that responds slowly holds no more requests.
	maxFetches       = 32
	maxClientFetches = 4
	// maxPayers is how many networks' budgets are remembered.
	maxPayers = 10_000
)

// fetchRate is how many fetches one network may cause.
var fetchRate = limit.Rate{Burst: 60, Period: time.Minute}

// Fetcher reads what clients publish. *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, address, accept string) ([]byte, error)
}

// references reads the request objects that clients publish (request_uri, OpenID Connect
// Core §6.2). All that it knows is this server's own: nothing is stored for a request
// before a user submits a number (invariant 1). It is safe for concurrent use.
type references struct {
	fetcher Fetcher
	log     *slog.Logger

	mu      sync.Mutex
	known   map[string]*reference // by URI, with its fragment
	running map[string]int        // fetches under way, by client
	all     int                   // sum of running
	paid    map[string]time.Time  // what networks have spent of fetchRate
}

// reference is what was fetched from a URI.
type reference struct {
	fetching chan struct{} // full during a fetch

	mu    sync.Mutex
	text  string    // "" after a failure
	until time.Time // when it is looked at again
}

func newReferences(f Fetcher, log *slog.Logger) *references {
	return &references{fetcher: f, log: log, known: map[string]*reference{}, running: map[string]int{}, paid: map[string]time.Time{}}
}

// get returns the request object at a URI that the client has registered. A refusal is an
// *oidc.Error: invalid_request_uri if there is none, temporarily_unavailable if too many
// are being fetched.
func (rs *references) get(ctx context.Context, c client.Client, uri, network string) (string, error) {
	if text, fresh := rs.current(uri, time.Now()); fresh {
		return text, unread(text)
	}
	if !rs.pay(network, time.Now()) { // before it takes the place of another
		return "", tooMany()
	}
	ref := rs.at(uri)
	select {
	case ref.fetching <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if text, fresh := ref.current(time.Now()); fresh { // another request has fetched meanwhile
		<-ref.fetching
		return text, unread(text)
	}
	if !rs.begin(c.ID) {
		<-ref.fetching
		return "", tooMany()
	}
	// A caller that disconnects ends no fetch, and the fetch counts; otherwise an attacker
	// who disconnects could start any number of fetches.
	done := make(chan string, 1)
	go func() {
		text := rs.fetch(context.WithoutCancel(ctx), c, uri, ref)
		rs.end(c.ID)
		<-ref.fetching
		done <- text
	}()
	select {
	case text := <-done:
		return text, unread(text)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// fetch reads the object, "" if there is none. The Fetcher bounds how long it takes.
func (rs *references) fetch(ctx context.Context, c client.Client, uri string, ref *reference) string {
	address, hash, _ := strings.Cut(uri, "#")
	body, err := rs.fetcher.Get(ctx, address, "application/oauth-authz-req+jwt, application/jwt")
	text := strings.TrimSpace(string(body))
	kept := referenceFresh
	switch {
	case err != nil:
		// Nothing of the error leaves the log: it tells what is where in the network.
		rs.log.WarnContext(ctx, "a client's request_uri could not be read", "client", c.ID, "error", err)
		text = ""
	case len(text) > maxObject:
		rs.log.WarnContext(ctx, "a client's request_uri is longer than a request object may be", "client", c.ID, "bytes", len(body))
		text = ""
	case isHashOf(hash, body):
		kept = referenceFixed
	}
	ref.mu.Lock()
	defer ref.mu.Unlock()
	ref.text, ref.until = text, time.Now().Add(kept)
	return text
}

// isHashOf reports whether a fragment is the SHA-256 of the contents, in base64url (OpenID
// Connect Core §6.2).
func isHashOf(fragment string, contents []byte) bool {
	sum := sha256.Sum256(contents)
	return subtle.ConstantTimeCompare([]byte(fragment), []byte(base64.RawURLEncoding.EncodeToString(sum[:]))) == 1
}

// current returns what was fetched, and whether it need not be fetched again.
func (ref *reference) current(now time.Time) (text string, fresh bool) {
	ref.mu.Lock()
	defer ref.mu.Unlock()
	return ref.text, now.Before(ref.until)
}

// current is that of the reference, if the URI is known.
func (rs *references) current(uri string, now time.Time) (text string, fresh bool) {
	rs.mu.Lock()
	ref := rs.known[uri]
	rs.mu.Unlock()
	if ref == nil {
		return "", false
	}
	return ref.current(now)
}

// at returns what is known of a URI.
func (rs *references) at(uri string) *reference {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	ref := rs.known[uri]
	if ref == nil {
		if len(rs.known) >= maxReferences {
			for other := range rs.known { // any: it is fetched again
				delete(rs.known, other)
				break
			}
		}
		ref = &reference{fetching: make(chan struct{}, 1)}
		rs.known[uri] = ref
	}
	return ref
}

// pay takes a fetch from the budgets of a network, or nothing. From an IPv6 /56 four times,
// from a /48 sixteen times as many are allowed as from a /64.
func (rs *references) pay(network string, now time.Time) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	next := map[string]time.Time{}
	times := 1
	for _, n := range limit.NetworksOf(network) {
		d := fetchRate.Times(times).Take(rs.paid[n], now)
		if !d.Allowed {
			return false
		}
		next[n] = d.TAT
		times *= 4
	}
	for n, tat := range next {
		if _, known := rs.paid[n]; !known && len(rs.paid) >= maxPayers {
			rs.forget(now)
		}
		rs.paid[n] = tat
	}
	return true
}

// forget makes room among the budgets: of those that are whole again, or else of any.
func (rs *references) forget(now time.Time) {
	for n, tat := range rs.paid {
		if !tat.After(now) {
			delete(rs.paid, n)
		}
	}
	for n := range rs.paid {
		if len(rs.paid) < maxPayers {
			return
		}
		delete(rs.paid, n)
	}
}

// begin takes one of the fetches that may be under way, if there is one left.
func (rs *references) begin(clientID string) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.all >= maxFetches || rs.running[clientID] >= maxClientFetches {
		return false
	}
	rs.all++
	rs.running[clientID]++
	return true
}

func (rs *references) end(clientID string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.all--
	if rs.running[clientID]--; rs.running[clientID] == 0 {
		delete(rs.running, clientID)
	}
}

// unread is the refusal for an object that could not be read.
func unread(text string) error {
	if text != "" {
		return nil
	}
	return invalidURI("request_uri could not be read: it must answer at once, with status 200 and without a redirect, at a public address")
}

func tooMany() error {
	e := oidc.Error{ErrorType: "temporarily_unavailable"} // RFC 6749 §4.1.2.1
	return e.WithDescription("too many request objects are being read; try again later")
}
