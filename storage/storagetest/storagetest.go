// SPDX-License-Identifier: Apache-2.0

// Package storagetest is the contract of every storage engine: the comments of the
// stores' interfaces as tests. Each engine's own test calls Run. What only one
// engine does, with its files or its servers, is tested beside that engine.
package storagetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/audit/trail"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/console"
	"calleridp/provider/funnel"
	"calleridp/provider/grant"
	"calleridp/provider/idempotency"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Engine is every store at once. Only wiring and this suite use it. All other
// packages declare the store that they need.
type Engine interface {
	keys.Store
	truecaller.Inbox
	truecaller.Secrets
	login.Store
	admin.Budgets
	subject.Store
	session.Store
	grant.Store
	grant.DeviceStore
	consent.Store
	subject.RecordStore
	admin.People
	admin.Grants
	apikey.Store
	idempotency.Store
	client.Store
	client.Assertions
	notify.Store
	signals.Store
	trail.Heads
	funnel.Store
	console.Bindings

	// PinIssuer stores the first issuer, and refuses any other one.
	PinIssuer(ctx context.Context, issuer string) error
	// Run deletes expired records until ctx is done.
	Run(ctx context.Context)
	// Close makes everything durable, including notes.
	Close() error
}

// Place opens the engine over the same data at each call. The engine of the call
// before has been closed.
type Place func(t *testing.T) Engine

// Run runs the suite. fresh returns a place without data.
func Run(t *testing.T, fresh func(t *testing.T) Place) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, w *world)
	}{
		{"Fields", testFields},
		{"SigningKeys", testSigningKeys},
		{"Issuer", testIssuer},
		{"Clients", testClients},
		{"Assertions", testAssertions},
		{"Registrations", testRegistrations},
		{"ParallelRegistrations", testParallelRegistrations},
		{"InitialTokens", testInitialTokens},
		{"DeviceRequests", testDeviceRequests},
		{"APIKeys", testAPIKeys},
		{"Requests", testRequests},
		{"Lists", testLists},
		{"DeviceAnswers", testDeviceAnswers},
		{"ParallelDeviceAnswers", testParallelDeviceAnswers},
		{"Funnel", testFunnel},
		{"ParallelFunnel", testParallelFunnel},
		{"Operators", testOperators},
		{"Inbox", testInbox},
		{"CallbackSecrets", testCallbackSecrets},
		{"AuditHeads", testAuditHeads},
		{"Attempts", testAttempts},
		{"Notes", testNotes},
		{"StepErrors", testStepErrors},
		{"Locks", testLocks},
		{"ExtendedLocks", testExtendedLocks},
		{"Forms", testForms},
		{"Resume", testResume},
		{"LiveAttempts", testLiveAttempts},
		{"Charged", testCharged},
		{"Budgets", testBudgets},
		{"CoolDowns", testCoolDowns},
		{"GivenBack", testGivenBack},
		{"LimitStates", testLimitStates},
		{"ClearLimits", testClearLimits},
		{"People", testPeople},
		{"Import", testImport},
		{"Spellings", testSpellings},
		{"Finish", testFinish},
		{"Redeem", testRedeem},
		{"Sessions", testSessions},
		{"Participants", testParticipants},
		{"ParallelParticipants", testParallelParticipants},
		{"Notices", testNotices},
		{"Streams", testStreams},
		{"Signals", testSignals},
		{"SignalsOfALostNumber", testSignalsOfALostNumber},
		{"StreamsAreReceivers", testStreamsAreReceivers},
		{"RecycledNumbers", testRecycledNumbers},
		{"Receivers", testReceivers},
		{"NoticesAreBounded", testNoticesAreBounded},
		{"ReceiversTakeTurns", testReceiversTakeTurns},
		{"Codes", testCodes},
		{"CodesOfForms", testCodesOfForms},
		{"Front", testFront},
		{"Grants", testGrants},
		{"AccessTokens", testAccessTokens},
		{"Consents", testConsents},
		{"Accounts", testAccounts},
		{"EndSessions", testEndSessions},
		{"DeletePerson", testDeletePerson},
		{"NumberOfAnother", testNumberOfAnother},
		{"Reopen", testReopen},
		{"EndedContext", testEndedContext},
		{"Parallel", testParallel},
		{"ParallelResume", testParallelResume},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.test(t, newWorld(t, fresh(t)))
		})
	}
}

// world is an engine under test.
type world struct {
	Engine
	t     *testing.T
	place Place
	ctx   context.Context
	now   time.Time
	runs  int // of a callback, see rerun.go
}

func newWorld(t *testing.T, place Place) *world {
	w := &world{
		Engine: place(t),
		t:      t,
		place:  place,
		ctx:    t.Context(),
		now:    time.Now().UTC().Truncate(time.Millisecond),
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// reopen closes the engine and opens its place again.
func (w *world) reopen() {
	w.t.Helper()
	w.must(w.Close())
	w.Engine = w.place(w.t)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// is checks that err is the expected one.
func (w *world) is(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Fatalf("error %v, want %v", err, want)
	}
}

// same checks that a record was read as it was stored, with times in UTC. A step
// may call it, which an engine may run in another goroutine.
func (w *world) same(got, want any) {
	w.t.Helper()
	if !reflect.DeepEqual(got, want) {
		w.t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// reads returns a check that a read returns this record and no error:
//
//	w.reads(want)(w.Grant(ctx, id))
func (w *world) reads(want any) func(got any, err error) {
	return func(got any, err error) {
		w.t.Helper()
		w.must(err)
		w.same(got, want)
	}
}

func newID() string { return keys.RandomText(16) }

// The functions below run a step that changes what it gets in place, and return
// what most tests look at.

func (w *world) update(id login.ID, step func(*login.Attempt) (login.Effects, error)) (login.Attempt, error) {
	return w.UpdateAttempt(w.ctx, id, func(a login.Attempt) (login.Update, error) {
		effects, err := step(&a)
		return login.Update{Attempt: a, Effects: effects}, err
	})
}

func (w *world) approveBy(
	id login.ID, number phone.Number,
	step func(*login.Attempt, *subject.Person) (subject.Person, login.Effects, error),
) (login.Attempt, error) {
	approval, err := w.ApproveAttempt(w.ctx, id, number, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
		person, effects, err := step(&a, known)
		return login.Approval{Attempt: a, Effects: effects, Person: person}, err
	})
	return approval.Attempt, err
}

func (w *world) finish(
	id login.ID, replaces session.SecretHash, step func(*login.Attempt) (session.Session, grant.Code, error),
) (login.Attempt, error) {
	signIn, err := w.FinishAttempt(w.ctx, id, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
		s, code, err := step(&a)
		return login.SignIn{Attempt: a, Session: s, Code: code, Replaces: replaces}, err
	})
	return signIn.Attempt, err
}

func (w *world) redeemAttempt(id login.ID, step func(*login.Attempt) (grant.Redemption, error)) (login.Attempt, error) {
	signIn, err := w.RedeemAttempt(w.ctx, id, func(a login.Attempt) (login.NativeSignIn, error) {
		r, err := step(&a)
		return login.NativeSignIn{Attempt: a, Redemption: r}, err
	})
	return signIn.Attempt, err
}

func (w *world) useCode(hash grant.CodeHash, use func(grant.Code, *grant.Grant) grant.Redemption) error {
	_, err := w.UseCode(w.ctx, hash, use)
	return err
}

func (w *world) useGrant(id string, use func(grant.Grant) grant.Redemption) error {
	_, err := w.UseGrant(w.ctx, id, use)
	return err
}

func (w *world) allow(sub, clientID string, code grant.Code, step func(*consent.Consent) consent.Consent) error {
	_, err := w.Allow(w.ctx, sub, clientID, func(known *consent.Consent) consent.Approval {
		return consent.Approval{Consent: step(known), Code: code}
	})
	return err
}

func newHash() (h [32]byte) {
	rand.Read(h[:])
	return h
}

var numbers atomic.Uint32 // how many newNumber has returned

// newNumber returns a number that it has not returned before.
func newNumber() phone.Number {
	n, err := phone.FromDigits(fmt.Sprintf("4670174%07d", numbers.Add(1)))
	if err != nil {
		panic(err)
	}
	return n
}

func (w *world) attempt() login.Attempt {
	return login.Attempt{
		ID: login.ID(newID()), Method: login.Push, State: login.Pushing,
		Browser: newHash(), Correlation: newHash(), App: "main", Number: newNumber(), ClientID: "shop",
		Network: "192.0.2.7/32", Request: []byte("sealed request"), Created: w.now, Expires: w.now.Add(5 * time.Minute),
	}
}

// lockOf returns a spend that takes the lock of the attempt's number.
func lockOf(a login.Attempt) limit.Spend {
	return limit.Spend{Lock: limit.Key{Kind: limit.Lock, ID: a.Number.Digits()}, LockFor: 5 * time.Minute}
}

// create stores a new attempt that takes its number's lock.
func (w *world) create() login.Attempt {
	w.t.Helper()
	a := w.attempt()
	w.must(w.CreateAttempt(w.ctx, a, lockOf(a), w.now))
	return a
}

// locked reports whether the number of an attempt is locked at a time.
func (w *world) locked(a login.Attempt, at time.Time) bool {
	w.t.Helper()
	probe := w.attempt()
	probe.Number = a.Number
	// The probe charges a budget of zero, so that it never takes the lock.
	spend := lockOf(probe)
	spend.Number = []limit.Charge{{Key: limit.Key{Kind: limit.Client, ID: "probe"}}}
	err := w.CreateAttempt(w.ctx, probe, spend, at)
	var exceeded *limit.Exceeded
	if !errors.As(err, &exceeded) {
		w.t.Fatalf("a spend with a budget of nothing: %v", err)
	}
	return exceeded.Kind == limit.Lock
}

func (w *world) delivery() truecaller.Delivery {
	return truecaller.Delivery{ID: newID(), App: "main", Received: w.now, Callback: truecaller.Callback{
		RequestID: "request", State: "state", AccessToken: "token", Endpoint: "https://profile4.truecaller.com/v1/default"}}
}

// put stores a delivery, which this process then holds.
func (w *world) put(d truecaller.Delivery) {
	w.t.Helper()
	if held, err := w.PutDelivery(w.ctx, d); err != nil || !held {
		w.t.Fatalf("delivery %s: held %v, %v, want true", d.ID, held, err)
	}
}

// inbox reports whether the inbox has a delivery.
func (w *world) inbox(id string) bool {
	w.t.Helper()
	all, err := w.Deliveries(w.ctx, 1000)
	w.must(err)
	for _, d := range all {
		if d.ID == id {
			return true
		}
	}
	return false
}

func (w *world) person(n phone.Number) subject.Person {
	return subject.Person{Sub: newID(), Number: n, Created: w.now, LastSignIn: w.now, VerifiedAt: w.now,
		Profile: truecaller.Profile{FirstName: "Asha", Numbers: []phone.Number{n}}}
}

// approve approves the attempt for a user, and returns the number's user before.
func (w *world) approve(id login.ID, p subject.Person) (known *subject.Person) {
	w.t.Helper()
	_, err := w.approveBy(id, p.Number, func(a *login.Attempt, bound *subject.Person) (subject.Person, login.Effects, error) {
		known = bound
		a.State, a.Sub, a.AuthTime = login.Approved, p.Sub, w.now
		return p, login.Effects{Unlock: true}, nil
	})
	w.must(err)
	return known
}

func (w *world) session() session.Session {
	return session.Session{ID: newID(), Secret: newHash(), Sub: newID(), AuthTime: w.now, ACR: "urn:calleridp:acr:push",
		Created: w.now, Expires: w.now.Add(time.Hour)}
}

// signIn stores a session by finishing a new attempt.
func (w *world) signIn(s session.Session, replaces session.SecretHash) {
	w.t.Helper()
	a := w.create()
	_, err := w.finish(a.ID, replaces, func(a *login.Attempt) (session.Session, grant.Code, error) {
		a.State = login.Done
		return s, w.code(""), nil
	})
	w.must(err)
}

// noSession checks that a session is found neither by its sid nor by its secret.
func (w *world) noSession(s session.Session) {
	w.t.Helper()
	_, err := w.Session(w.ctx, s.ID)
	w.is(err, session.ErrNotFound)
	_, err = w.SessionBySecret(w.ctx, s.Secret)
	w.is(err, session.ErrNotFound)
}

func (w *world) grant(sid string) grant.Grant {
	return grant.Grant{ID: newID(), ClientID: "shop", Sub: newID(), SID: sid, Scopes: []string{"openid"},
		AuthTime: w.now, Created: w.now, Expires: w.now.Add(time.Hour)}
}

func (w *world) code(sid string) grant.Code {
	return grant.Code{Hash: newHash(), RedirectURI: "https://shop.example/cb", Challenge: "challenge", Grant: w.grant(sid), Expires: w.now.Add(time.Minute)}
}

// redeem redeems a code for its grant and an access token.
func (w *world) redeem(c grant.Code) grant.AccessToken {
	w.t.Helper()
	w.must(w.CreateCode(w.ctx, c))
	token := grant.AccessToken{Hash: newHash(), GrantID: c.Grant.ID, Scopes: c.Grant.Scopes, Issued: w.now, Expires: w.now.Add(10 * time.Minute)}
	w.must(w.useCode(c.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
		c.Redeemed = true
		return grant.Redemption{Code: &c, Grant: &c.Grant, Access: &token}
	}))
	return token
}

func (w *world) revoked(id string) bool {
	w.t.Helper()
	g, err := w.Grant(w.ctx, id)
	w.must(err)
	return g.Revoked
}
