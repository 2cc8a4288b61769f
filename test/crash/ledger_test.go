// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/test/harness"

	"golang.org/x/oauth2"
)

// The ledger is outside of the servers: what they have acknowledged to browsers, clients
// and Truecaller. They are disturbed in the middle of a load, again and again. After each
// time, nothing acknowledged is lost and nothing consumed comes back:
//
//   - a code is redeemed once, also by two requests at the same time
//   - a refresh token works, one of an earlier generation does not
//   - what was revoked, signed out or deleted stays so, whatever was under way
//   - a session signs in
//   - a callback that Truecaller got 200 for completes its attempt, once
//   - a number that a push was sent to stays locked, and gets one push
//   - a solved challenge sends one push
//
// A request without a response, or with an error of the server, may have happened or not.
//
//	ledger_test.go     what is known, and the rounds
//	truecaller_test.go what Truecaller sees
//	load_test.go       users, and what they do
//	races_test.go      what they do twice at the same time
//	verify_test.go     the comparison
//	audit_test.go      an operator, and the audit
//	bolt_test.go       one server with the embedded engine, killed, or its power cut
//	postgres_test.go   three servers over PostgreSQL
//	disturb_test.go    what happens to those

// fact is what the ledger knows of something that can be used up or ended.
type fact int

const (
	absent   fact = iota // it was never acknowledged
	alive                // it was acknowledged
	doubtful             // its end was requested, and no response came
	ended                // its end was acknowledged
)

// entry is one user with one browser, who gets and ends a few things.
type entry struct {
	number  string
	browser *http.Client

	waiting string     // the waiting page, of an attempt that was acknowledged; "" once it was left
	left    string     // where it was left with a code
	silent  bool       // its phone does not respond: the lock stays
	solved  url.Values // the challenge that its push has used

	session  fact
	code     fact
	codeIs   string
	verifier string
	family   fact     // of the refresh tokens
	refresh  []string // the generations, the newest last
	id, sub  string   // the ID token, and its sub
	account  fact
}

// kinds are what a run must have acknowledged.
var kinds = []string{"attempts", "callbacks", "challenges", "codes", "codes redeemed", "codes redeemed twice at once", "deletions",
	"locks", "refreshes", "revocations", "sessions", "sign-outs"}

const workers = 8

// settings are those of the servers: a user signs in again at once, and nothing else is
// limited. What was lost on its way is verified within the grace period.
const settings = `limits: {after_approval: 1s, number: 1000000/1h, network: 1000000/1h, client: 1000000/1h, deployment: 1000000/1h, challenge: always, challenge_bits: 8}
lifetimes: {code: 10m, refresh_grace: 10m}
`

// ledger is what is known outside of the servers.
type ledger struct {
	t      *testing.T
	server *harness.Production // the one that is addressed
	passes bool                // whatever happens to it, it says 503, never 500
	lives  atomic.Int64
	beside func() // works beside the users, until the load ends; may be nil

	mu        sync.Mutex
	next      int
	loading   bool          // until verify
	disturbed bool          // from the disturbance until verify: errors of the servers are no fault
	stop      chan struct{} // closed when the load ends
	left      int           // acknowledgements until enough is closed
	enough    chan struct{}
	latest    time.Time     // acknowledgement
	gap       time.Duration // the longest without one, since the disturbance
	entries   []*entry
	settled   []*entry // of earlier rounds
	counts    map[string]int
	failed    map[string]int    // requests without a response or with an error of the server, by kind
	acked     map[string][]byte // callbacks that got 200, by the states of their pushes
	states    map[string]string // by number
	pushes    map[string]int    // by number
}

func newLedger(t *testing.T) *ledger {
	return &ledger{t: t, counts: map[string]int{}, failed: map[string]int{}, acked: map[string][]byte{}, states: map[string]string{}, pushes: map[string]int{}}
}

// round disturbs the servers in the middle of a load, after so many acknowledgements,
// and compares. The load goes on until disturb returns, or calls stopLoad; afterwards
// repair makes the servers work again.
func (l *ledger) round(name string, acknowledgements int, random *rand.Rand, disturb, repair func()) {
	l.mu.Lock()
	l.loading, l.stop, l.entries = true, make(chan struct{}), nil
	l.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.stopLoad()
	for range workers {
		wg.Go(l.work)
	}
	if l.beside != nil {
		wg.Go(l.beside)
	}
	l.await(acknowledgements)
	l.mu.Lock()
	l.disturbed, l.latest, l.gap = true, time.Now(), 0
	l.mu.Unlock()
	disturb()
	l.stopLoad()
	wg.Wait()
	repair()
	l.verify(name, random)
}

// await waits for so many further acknowledgements, or the end of the load.
func (l *ledger) await(acknowledgements int) {
	l.mu.Lock()
	l.left, l.enough = acknowledgements, make(chan struct{})
	enough := l.enough
	l.mu.Unlock()
	select {
	case <-enough:
	case <-l.stop:
	case <-time.After(2 * harness.Timeout):
		l.t.Errorf("not %d acknowledgements within %s", acknowledgements, 2*harness.Timeout)
	}
}

func (l *ledger) stopLoad() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped() {
		close(l.stop)
	}
}

func (l *ledger) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// report logs what was acknowledged, and fails if something never was.
func (l *ledger) report() {
	for _, of := range []map[string]int{l.counts, l.failed} {
		for _, what := range slices.Sorted(maps.Keys(of)) {
			l.t.Logf("%6d %s", of[what], what)
		}
	}
	for _, what := range kinds {
		if l.counts[what] == 0 && !l.t.Failed() {
			l.t.Errorf("no %s: the load is too small", what)
		}
	}
}

// ack notes what the server has acknowledged. The caller holds no lock.
func (l *ledger) ack(what string, note func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if note != nil {
		note()
	}
	if !l.loading { // a retry of Truecaller, or a check
		return
	}
	l.counts[what]++
	now := time.Now()
	l.gap, l.latest = max(l.gap, now.Sub(l.latest)), now
	if l.left--; l.left == 0 {
		close(l.enough)
	}
}

// fault notes an error of the servers, which is a fault unless they are disturbed. status
// is 0 for none.
func (l *ledger) fault(status int, kind, text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.disturbed && !(l.passes && status == http.StatusInternalServerError) {
		l.failed[kind]++
	} else {
		l.t.Errorf("%s\n%.300s", kind, text)
	}
	return errGone
}

const (
	approving    = "+9199"
	silentPrefix = "+9198"
)

// newEntry returns a user of whom nothing is known.
func (l *ledger) newEntry(prefix string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	e := &entry{number: fmt.Sprintf("%s%08d", prefix, l.next), browser: newBrowser(), verifier: oauth2.GenerateVerifier()}
	l.entries = append(l.entries, e)
	return e
}

func newBrowser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{
		Jar:           jar,
		Timeout:       harness.Timeout,
		Transport:     shared,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

var shared = &http.Transport{MaxIdleConnsPerHost: 64}

// errGone means that it is not known what became of a request: the server was killed, or
// could not store.
var errGone = errors.New("no response")

// errLocked means that a number gets no further push for now.
var errLocked = errors.New("the number is locked")

// request sends a form, or gets a page.
func (l *ledger) request(c *http.Client, at string, form url.Values, client bool) (status int, location, body string, err error) {
	if strings.HasPrefix(at, "/") {
		at = l.server.Issuer + at
	}
	r, err := http.NewRequest(http.MethodGet, at, nil)
	if form != nil {
		r, err = http.NewRequest(http.MethodPost, at, strings.NewReader(form.Encode()))
	}
	if err != nil {
		return 0, "", "", err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if client {
		r.SetBasicAuth("demo", harness.ClientSecret)
	} else {
		r.Header.Set("Origin", l.server.Issuer)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := c.Do(r)
	if err != nil {
		return 0, "", "", l.fault(0, "no response", fmt.Sprintf("%s %s: %v", r.Method, r.URL.Path, err))
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return 0, "", "", l.fault(0, "no whole response", fmt.Sprintf("%s %s: %v", r.Method, r.URL.Path, err))
	case response.StatusCode >= 500:
		room, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		return 0, "", "", l.fault(response.StatusCode, fmt.Sprintf("status %d of %s /%s", response.StatusCode, r.Method, room), string(raw))
	}
	return response.StatusCode, response.Header.Get("Location"), string(raw), nil
}
