// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/storage/bolt"
	"calleridp/storage/storagetest"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// world is an engine over a real store, with a Truecaller that answers pushes
// as the test says.
type world struct {
	t      *testing.T
	store  *bolt.Store
	engine *login.Engine
	config login.Config
	path   string
	master *keys.Master
	log    *journal
	phone  *truecallerDouble
	next   int
}

// truecallerDouble stands for api4.truecaller.com.
type truecallerDouble struct {
	mu     sync.Mutex
	answer func(ctx context.Context, state string) (string, error)
	states []string
}

func (d *truecallerDouble) Admit(truecaller.App) (*truecaller.Permit, error) {
	return new(truecaller.Permit), nil
}

func (d *truecallerDouble) Push(ctx context.Context, _ *truecaller.Permit, _ truecaller.App, _ phone.Number, state string) (string, error) {
	d.mu.Lock()
	d.states = append(d.states, state)
	answer := d.answer
	d.mu.Unlock()
	return answer(ctx, state)
}

// state is the state of the latest push.
func (d *truecallerDouble) state() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.states[len(d.states)-1]
}

func (d *truecallerDouble) pushes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.states)
}

func accepts(context.Context, string) (string, error) { return "request", nil }

func refuses(kind truecaller.PushFailure) func(context.Context, string) (string, error) {
	return func(context.Context, string) (string, error) { return "", &truecaller.PushError{Kind: kind} }
}

// journal is what was logged and audited.
type journal struct {
	mu sync.Mutex
	bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Buffer.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.String()
}

// has says whether an event was written with all these attributes.
func (j *journal) has(event string, attrs map[string]string) bool { return j.count(event, attrs) > 0 }

func (j *journal) count(event string, attrs map[string]string) int {
	n := 0
	for line := range strings.Lines(j.text()) {
		got := map[string]any{}
		if json.Unmarshal([]byte(line), &got) != nil || got["msg"] != event {
			continue
		}
		match := true
		for k, v := range attrs {
			match = match && got[k] == v
		}
		if match {
			n++
		}
	}
	return n
}

const plenty = 1 << 20

var wide = limit.Rate{Burst: plenty, Period: time.Second}

func newWorld(t *testing.T, change ...func(*login.Config)) *world {
	t.Helper()
	master, err := keys.NewMaster(bytes.Repeat([]byte{7}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, path: filepath.Join(t.TempDir(), "store"), master: master, log: &journal{}, phone: &truecallerDouble{answer: accepts}}
	logger := slog.New(slog.NewJSONHandler(w.log, nil))
	w.config = login.Config{
		Pusher: w.phone,
		Apps:   map[string]truecaller.App{"main": {ID: "main"}, "second": {ID: "second"}},
		Limits: login.Limits{Number: wide, Network: wide, Client: wide, Deployment: wide},
		Log:    logger,
		Audit:  audit.Log(logger, nil),
	}
	for _, c := range change {
		c(&w.config)
	}
	w.restart()
	t.Cleanup(func() { w.store.Close() })
	return w
}

// restart is another process over the same file.
func (w *world) restart() {
	w.t.Helper()
	if w.store != nil {
		w.must(w.store.Close())
	}
	var err error
	w.store, err = bolt.Open(w.path, w.master, bolt.Options{NoSync: true})
	w.must(err)
	w.config.Store, w.config.Inbox = storagetest.Pure(w.t, w.store), w.store
	w.engine, err = login.New(w.config)
	w.must(err)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func num(t *testing.T, digits string) phone.Number {
	t.Helper()
	n, err := phone.FromDigits(digits)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const (
	digits  = "46701740605"
	browser = "the browser's secret"
)

func (w *world) begin(change ...func(*login.PushRequest)) (login.Attempt, error) {
	s := login.PushRequest{Number: num(w.t, digits), App: "main", ClientID: "demo", Browser: browser, Network: "192.0.2.7/32", Request: []byte("the request")}
	for _, c := range change {
		c(&s)
	}
	return w.engine.Start(w.t.Context(), s)
}

func (w *world) start(change ...func(*login.PushRequest)) login.Attempt {
	w.t.Helper()
	a, err := w.begin(change...)
	w.must(err)
	return a
}

func dialled(t *testing.T, digits string) func(*login.PushRequest) {
	return func(s *login.PushRequest) { s.Number = num(t, digits) }
}

// record is the attempt as its browser sees it.
func (w *world) record(id login.ID) login.Attempt {
	w.t.Helper()
	a, err := w.engine.Get(w.t.Context(), id, browser)
	w.must(err)
	return a
}

func (w *world) expect(id login.ID, state login.State, reason login.Reason) {
	w.t.Helper()
	if a := w.record(id); a.State != state || a.Reason != reason {
		w.t.Errorf("the attempt is %s %s, want %s %s", a.State, a.Reason, state, reason)
	}
}

// callback is a delivery for the latest push, kept in the inbox like a real one.
func (w *world) callback(change ...func(*truecaller.Delivery)) truecaller.Delivery {
	w.t.Helper()
	w.next++
	d := truecaller.Delivery{ID: "delivery-" + string(rune('a'+w.next)), App: "main", Received: time.Now(),
		Callback: truecaller.Callback{RequestID: "request", State: w.phone.state(), AccessToken: "token"}}
	for _, c := range change {
		c(&d)
	}
	_, err := w.store.PutDelivery(w.t.Context(), d)
	w.must(err)
	return d
}

func status(s string) func(*truecaller.Delivery) {
	return func(d *truecaller.Delivery) { d.Status, d.AccessToken = s, "" }
}

func profile(t *testing.T, id string, numbers ...string) truecaller.Profile {
	p := truecaller.Profile{ID: id, FirstName: "Asha"}
	for _, digits := range numbers {
		p.Numbers = append(p.Numbers, num(t, digits))
	}
	return p
}

// approve brings a token and the right profile.
func (w *world) approve() {
	w.t.Helper()
	d := w.callback()
	w.must(w.engine.Token(w.t.Context(), d))
	w.must(w.engine.Profile(w.t.Context(), d, profile(w.t, "asha", digits)))
}

func (w *world) finish(id login.ID) (login.Attempt, error) {
	done, err := w.engine.Finish(w.t.Context(), finishing(id, browser), signIn)
	return done.Attempt, err
}

func finishing(id login.ID, browser login.BrowserSecret) login.FinishRequest {
	return login.FinishRequest{ID: id, Browser: browser, Outcome: login.NewOutcome()}
}

// signIn is the session and code that an attempt gives.
func signIn(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
	s := session.Session{
		ID:       "sid-" + string(a.ID),
		Secret:   session.SecretHash{1},
		Sub:      a.Sub,
		AuthTime: a.AuthTime,
		Created:  a.AuthTime,
		Expires:  a.Ended.Add(time.Hour),
	}
	c := grant.Code{
		Hash:        grant.HashCode(redact.Text(a.ID)),
		RedirectURI: "https://rp.example/cb",
		Expires:     a.Ended.Add(time.Minute),
		Grant: grant.Grant{
			ID:       a.GrantID,
			ClientID: a.ClientID,
			Sub:      a.Sub,
			SID:      s.ID,
			Created:  a.Ended,
			Expires:  a.Ended.Add(time.Hour),
		},
	}
	return login.SignIn{Session: s, Code: c}, nil
}

// inbox is the IDs of the deliveries that are left.
func (w *world) inbox() []string {
	w.t.Helper()
	left, err := w.store.Deliveries(w.t.Context(), 100)
	w.must(err)
	ids := map[string]bool{}
	for _, d := range left {
		ids[d.ID] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// settle makes what was only noted, or dropped, visible and durable.
func (w *world) settle() {
	w.t.Helper()
	_, err := w.store.PutDelivery(w.t.Context(), truecaller.Delivery{ID: "settle", Received: time.Now()})
	w.must(err)
}

// emptyInbox checks that no work is left.
func (w *world) emptyInbox() {
	w.t.Helper()
	w.settle()
	if left := w.inbox(); !slices.Equal(left, []string{"settle"}) {
		w.t.Errorf("left in the inbox: %v", left)
	}
}

// locked says whether the usual number is locked now, without locking it.
func (w *world) locked() bool { return w.isLocked(digits) }

func (w *world) isLocked(digits string) bool {
	w.t.Helper()
	err := w.store.CreateAttempt(w.t.Context(), login.Attempt{ID: "probe", Expires: time.Now().Add(time.Minute)},
		limit.Spend{Lock: limit.Key{Kind: limit.Lock, ID: digits}, LockFor: 0}, time.Now())
	exceeded := (*limit.Exceeded)(nil)
	switch {
	case errors.As(err, &exceeded) && exceeded.Kind == limit.Lock:
		return true
	case err != nil:
		w.t.Fatal(err)
	}
	return false
}
