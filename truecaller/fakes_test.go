// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/audit"
)

// world is a receiver with an inbox in memory and a recipient that records its calls.
// storagetest tests the inboxes of the engines.
type world struct {
	t   testing.TB
	app App
	rc  *Receiver
	log *safeBuffer

	sums *audit.Sums // of the log

	mu    sync.Mutex
	inbox map[string]Delivery

	elsewhere map[string]bool // what another process holds
	told      []string        // calls of the recipient: "profile d1", "failed d1: cause"
	done      map[string]bool
	asked     []string // URLs that were fetched, with their tokens
	askedAt   []time.Time

	expects  func(Callback) (bool, error)
	put      func(context.Context) error
	hold     func(id string) (bool, error)
	token    func(Delivery) error
	profile  func(Delivery) error
	progress func(Delivery) error
	answer   func(r *http.Request, token string) (int, string) // of the profile hosts; status 0: no response
}

const (
	goodHost = "https://profile4.truecaller.com"
	slowHost = "https://profile4-noneu.truecaller.com"
)

func newWorld(t testing.TB) *world {
	w := &world{t: t, log: &safeBuffer{}, inbox: map[string]Delivery{}, elsewhere: map[string]bool{}, done: map[string]bool{}}
	w.app = appAt(t, "https://api4.truecaller.com")
	w.app.CallbackSecrets = []string{"secret-one", "secret-two"}
	w.app.Profiles = bases(t, goodHost+" "+slowHost)
	w.restart()
	return w
}

// restart is another process on the same store.
func (w *world) restart() {
	client := NewClient(Options{})
	client.http.Transport = roundTrip(w.roundTrip)
	log := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.sums = audit.NewSums(log, nil)
	rc, err := NewReceiver("/callback/", ReceiverConfig{
		Apps: map[string]App{"main": w.app}, Inbox: w, Recipient: w, Client: client, Log: log, Callbacks: w.sums,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.rc = rc
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (w *world) roundTrip(r *http.Request) (*http.Response, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	w.mu.Lock()
	w.asked = append(w.asked, r.URL.String()+" "+token)
	w.askedAt = append(w.askedAt, time.Now())
	answer := w.answer
	w.mu.Unlock()
	status, body := 200, goodBody
	if answer != nil {
		status, body = answer(r, token)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if status == 0 {
		return nil, errors.New("connection reset by peer")
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r, Header: http.Header{}}, nil
}

// call takes one of the functions above, which tests may change meanwhile.
func call[F any](w *world, f *F) F {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *f
}

func (w *world) PutDelivery(ctx context.Context, d Delivery) (held bool, err error) {
	if put := call(w, &w.put); put != nil {
		if err := put(ctx); err != nil {
			return false, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.inbox[d.ID]; !ok {
		w.inbox[d.ID] = d
	}
	return !w.elsewhere[d.ID], nil
}

func (w *world) HoldDelivery(_ context.Context, id string) (held bool, err error) {
	if hold := call(w, &w.hold); hold != nil {
		return hold(id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.inbox[id]
	return ok && !w.elsewhere[id], nil
}

func (w *world) Deliveries(_ context.Context, max int) ([]Delivery, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Delivery
	for _, d := range w.inbox {
		if !w.elsewhere[d.ID] {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b Delivery) int { return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.ID, b.ID)) })
	return all[:min(max, len(all))], nil
}

func (w *world) DropDelivery(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.inbox, id)
	return nil
}

func (w *world) Expects(_ context.Context, _ string, c Callback) (bool, error) {
	if expects := call(w, &w.expects); expects != nil {
		return expects(c)
	}
	return true, nil
}

// tell records a call of the recipient, and deletes the delivery unless err.
func (w *world) tell(d Delivery, what string, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.told = append(w.told, what+" "+d.ID+" (error)")
		return err
	}
	w.told = append(w.told, what+" "+d.ID)
	w.done[d.ID] = true
	delete(w.inbox, d.ID)
	return nil
}

func (w *world) Progress(_ context.Context, d Delivery) error {
	if progress := call(w, &w.progress); progress != nil {
		return w.tell(d, "progress", progress(d))
	}
	return w.tell(d, "progress", nil)
}

// Token is called for a finished delivery if both the handler and a sweep began it: no
// attempt waits for it any more.
func (w *world) Token(_ context.Context, d Delivery) error {
	w.mu.Lock()
	done := w.done[d.ID]
	w.mu.Unlock()
	if done {
		return ErrNotFound
	}
	if token := call(w, &w.token); token != nil {
		return token(d)
	}
	return nil
}

func (w *world) Profile(ctx context.Context, d Delivery, p Profile) error {
	if !p.Has(number(w.t, typed)) {
		w.t.Errorf("Profile() got the numbers %v, want %s", p.Numbers, typed)
	}
	if ctx.Err() != nil {
		w.t.Error("Profile() got a context that is over")
	}
	if profile := call(w, &w.profile); profile != nil {
		return w.tell(d, "profile", cmp.Or(profile(d), ctx.Err()))
	}
	return w.tell(d, "profile", nil)
}

func (w *world) Failed(_ context.Context, d Delivery, cause error) error {
	for _, known := range []error{ErrUnauthorized, ErrForeignEndpoint, ErrProfile, ErrProfileUnavailable, ErrTokenExpired} {
		if errors.Is(cause, known) {
			return w.tell(d, "failed: "+strings.TrimPrefix(known.Error(), "truecaller: ")+":", nil)
		}
	}
	w.t.Errorf("Failed() got the cause %v, want an error of this package", cause)
	return nil
}

// delivery is one with a token of its own, received now, in the inbox.
func (w *world) delivery(id string) Delivery {
	d := Delivery{ID: id, App: "main", Received: time.Now(), Callback: Callback{RequestID: "r-" + id, State: "s-" + id, AccessToken: "token-" + id}}
	w.keep(d)
	return d
}

func (w *world) keep(d Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inbox[d.ID] = d
}

// run starts the worker; stop ends it and waits.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.rc.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

// runOnce runs the worker until there is nothing to do but wait.
func (w *world) runOnce() {
	stop := w.run()
	synctest.Wait()
	stop()
}

// deliversAtOnce checks that a new delivery takes no time.
func (w *world) deliversAtOnce(id string) {
	w.t.Helper()
	started := time.Now()
	w.rc.fresh <- w.delivery(id)
	synctest.Wait()
	w.wantTold("profile " + id)
	if took := time.Since(started); took != 0 {
		w.t.Errorf("the delivery %s took %s, want 0s", id, took)
	}
}

// stopsAtOnce checks that stopping the worker takes no time.
func (w *world) stopsAtOnce(stop func()) {
	w.t.Helper()
	started := time.Now()
	stop()
	if took := time.Since(started); took != 0 {
		w.t.Errorf("stopping took %s, want 0s", took)
	}
}

func (w *world) wantTold(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := slices.Clone(w.told); !slices.Equal(got, want) {
		w.t.Errorf("the recipient was told %q, want %q", got, want)
	}
}

func (w *world) wantAsked(n int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asked) != n {
		w.t.Errorf("%d profile requests, want %d: %.300q", len(w.asked), n, w.asked)
	}
}

func (w *world) wantInbox(ids ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for id := range w.inbox {
		got = append(got, id)
	}
	slices.Sort(got)
	if !slices.Equal(got, ids) {
		w.t.Errorf("in the inbox: %q, want %q", got, ids)
	}
}

// set changes the world while the worker runs.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
