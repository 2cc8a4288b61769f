// SPDX-License-Identifier: Apache-2.0

package transfer_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/apikey"
	"calleridp/provider/audit/trail"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/funnel"
	"calleridp/provider/grant"
	"calleridp/provider/idempotency"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/storagetest"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

const issuer = "https://id.example"

// world is what fill stores for one user.
type world struct {
	n       int
	now     time.Time
	attempt login.Attempt
	person  subject.Person
	session session.Session
	code    grant.Code // the second: the first was redeemed
	used    grant.CodeHash
	token   grant.AccessToken
	consent consent.Consent
	limits  []limit.Key
}

// bit reports whether a world has a variation.
func (w *world) bit(i int) bool { return w.n>>i&1 == 1 }

func (w *world) id(what string) string { return fmt.Sprintf("%s-%d", what, w.n) }

func (w *world) hash(what string) [32]byte { return sha256.Sum256([]byte(w.id(what))) }

// newWorld returns the world of the user n, filled in every field.
func newWorld(n int, now time.Time) *world {
	w := &world{n: n, now: now}
	later := now.Add(time.Hour)
	number, err := phone.FromDigits(fmt.Sprintf("4670174%04d", n))
	if err != nil {
		panic(err)
	}
	w.attempt = storagetest.Filled[login.Attempt](now)
	a := &w.attempt
	a.ID, a.Number, a.Correlation, a.Form, a.Browser = login.ID(w.id("attempt")), number, w.hash("state"), w.hash("form"), w.hash("browser")
	a.State, a.Created, a.Expires = login.Waiting, now, later
	w.person = storagetest.Filled[subject.Person](now)
	w.person.Sub, w.person.Number, w.person.NumberLost = w.id("sub"), number, false
	a.SignOuts = w.person.SignOuts
	w.session = storagetest.Filled[session.Session](now)
	w.session.ID, w.session.Secret, w.session.Sub, w.session.Expires = w.id("sid"), w.hash("cookie"), w.person.Sub, later
	w.code = storagetest.Filled[grant.Code](now)
	c := &w.code
	c.Hash, c.Expires, c.FormExpires, c.Redeemed = w.hash("unused code"), later, later, false
	c.Grant.ID, c.Grant.Sub, c.Grant.SID, c.Grant.Expires = w.id("unused grant"), w.person.Sub, w.session.ID, later
	c.Grant.Created, c.Grant.Revoked, c.Grant.Offline = now, false, w.bit(0)
	w.used = w.hash("code")
	w.token = storagetest.Filled[grant.AccessToken](now)
	w.token.Hash, w.token.GrantID, w.token.Expires = w.hash("token"), w.id("grant"), later
	w.consent = storagetest.Filled[consent.Consent](now)
	w.consent.Sub, w.consent.ClientID = w.person.Sub, "shop"
	w.limits = []limit.Key{{Kind: limit.Lock, ID: number.Digits()}, {Kind: limit.CoolingOff, ID: number.Digits()},
		{Kind: limit.Network, ID: w.id("network")}, {Kind: limit.Deployment}}
	return w
}

// fill stores the worlds of n users, and what belongs to none.
func fill(t *testing.T, e storagetest.Engine, n int, now time.Time) (worlds []*world) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(e.PinIssuer(ctx, issuer))
	must(e.ReplaceSigningKeys(ctx, []keys.Record{storagetest.Filled[keys.Record](now), {ID: "empty"}}, 0))
	must(e.CreateClient(ctx, storagetest.Filled[client.Client](now)))
	must(e.CreateClient(ctx, client.Client{ID: "shop"}))
	permits := storagetest.Filled[client.InitialToken](now)
	permits.Expires = now.Add(time.Hour)
	must(e.CreateInitialToken(ctx, permits))
	device := storagetest.Filled[grant.DeviceRequest](now)
	device.User, device.Expires = [32]byte{7}, now.Add(time.Hour)
	must(e.CreateDeviceRequest(ctx, device, limit.Spend{}, now))
	apiKey := storagetest.Filled[apikey.Key](now)
	apiKey.Expires = now.Add(time.Hour)
	must(e.CreateAPIKey(ctx, apiKey))
	must(e.EndRequest(ctx, idempotency.Request{Key: [32]byte{9}, Digest: [32]byte{8}, Began: now, Response: []byte("done")}))
	must(e.AdvanceAuditHead(ctx, trail.Head{Server: "web-1", First: 1, Seq: 2, Digest: [32]byte{3}, Time: now}))
	must(e.AddFunnel(ctx, []funnel.Period{
		{Unit: funnel.Hour, Start: funnel.Hour.Of(now), Tally: storagetest.Filled[funnel.Tally](now)},
		{Unit: funnel.Day, Start: funnel.Day.Of(now), Tally: storagetest.Filled[funnel.Tally](now)},
	}))
	for _, secret := range []byte{1, 2} {
		_, err := e.UseCallbackSecret(ctx, "app", [32]byte{secret}, now, time.Hour)
		must(err)
	}
	for _, id := range []string{"news", "kept"} {
		stream := storagetest.Filled[signals.Stream](now)
		stream.ClientID, stream.Status, stream.AllRequested = id, signals.Enabled, true
		_, err := e.ChangeStream(ctx, id, func(*signals.Stream) (signals.Update, error) { return signals.Update{Stream: &stream}, nil })
		must(err)
	}
	must(e.RemoveSubject(ctx, "news", [32]byte{6}))
	for i := range n {
		w := newWorld(i, now)
		worlds = append(worlds, w)
		d := storagetest.Filled[truecaller.Delivery](now)
		d.ID, d.Received = w.id("delivery"), now.Add(time.Duration(i)*time.Millisecond)
		held, err := e.PutDelivery(ctx, d)
		must(err)
		if !held {
			t.Fatal("a new delivery is not held")
		}
		must(e.UseAssertion(ctx, w.hash("assertion"), now.Add(time.Hour)))
		rate := limit.Rate{Burst: 1000, Period: 1000 * time.Hour} // it is full again after an hour
		must(e.CreateAttempt(ctx, w.attempt, limit.Spend{
			Lock: w.limits[0], LockFor: time.Hour,
			Cooling: limit.Cooling{Key: w.limits[1], Rule: limit.CoolDown{First: time.Hour, Longest: time.Hour}},
			Asker:   []limit.Charge{{Key: w.limits[2], Rate: rate}, {Key: w.limits[3], Rate: rate}},
		}, now))
		_, err = e.ApproveAttempt(ctx, w.attempt.ID, w.attempt.Number, func(a login.Attempt, _ *subject.Person) (login.Approval, error) {
			a.State = login.Approved
			return login.Approval{Attempt: a, Person: w.person, Effects: login.Effects{Approved: now.Add(time.Hour)}}, nil
		})
		must(err)
		first := w.code
		first.Hash, first.Grant.ID = w.used, w.token.GrantID
		_, err = e.FinishAttempt(ctx, w.attempt.ID, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
			return login.SignIn{Attempt: a, Session: w.session, Code: first}, nil
		})
		must(err)
		_, err = e.UseCode(ctx, w.used, func(c grant.Code, _ *grant.Grant) grant.Redemption {
			c.Redeemed = true
			g := c.Grant
			g.Generation = 3
			return grant.Redemption{Code: &c, Grant: &g, Access: &w.token}
		})
		must(err)
		_, err = e.Allow(ctx, w.person.Sub, "shop", func(*consent.Consent) consent.Approval {
			return consent.Approval{Consent: w.consent, Code: w.code}
		})
		must(err)
		news := w.code // of a client that is told that its access was revoked
		news.Hash, news.Grant.ID, news.Grant.ClientID, news.FormExpires, news.Front = w.hash("news"), w.id("news"), "news", time.Time{}, nil
		must(e.CreateCode(ctx, news))
		must(e.RevokeClient(ctx, w.person.Sub, "news"))
		kept := news // of a client with a stream, which knows the user from now on
		kept.Hash, kept.Grant.ID, kept.Grant.ClientID, kept.Denied = w.hash("kept"), w.id("kept"), "kept", false
		must(e.CreateCode(ctx, kept))
		w.vary(t, e)
	}
	return worlds
}

// vary ends things that others have.
func (w *world) vary(t *testing.T, e storagetest.Engine) {
	ctx := t.Context()
	var err error
	switch {
	case w.n == 0: // the first is whole
	case w.bit(1) && w.bit(2): // which clients are told
		_, err = e.EndSession(ctx, w.session.ID)
	case w.bit(1) && w.bit(3):
		err = e.DeletePerson(ctx, w.person.Sub)
	case w.bit(2) && w.bit(3):
		err = e.RevokeClient(ctx, w.person.Sub, w.code.Grant.ClientID)
	case w.bit(1): // the number belongs to another user
		a := w.attempt
		a.ID, a.Correlation, a.Form = login.ID(w.id("second")), w.hash("second"), [32]byte{}
		heir := w.person
		heir.Sub = w.id("heir")
		err = errors.Join(e.CreateAttempt(ctx, a, limit.Spend{}, w.now))
		if err == nil {
			_, err = e.ApproveAttempt(ctx, a.ID, a.Number, func(a login.Attempt, _ *subject.Person) (login.Approval, error) {
				return login.Approval{Attempt: a, Person: heir}, nil
			})
		}
	case w.bit(2): // the attempt serves another form's request
		form := w.hash("another form")
		_, err = e.ResumeAttempt(ctx, w.attempt.ID, form, limit.Spend{}, w.now, func(a login.Attempt) (login.Attempt, error) {
			a.Form = form
			return a, nil
		})
	case w.bit(3): // so it has expired
		a := w.attempt
		a.ID, a.Correlation, a.Form = login.ID(w.id("old")), w.hash("old"), w.hash("old")
		a.Expires = w.now.Add(-10 * time.Hour)
		err = e.CreateAttempt(ctx, a, limit.Spend{}, w.now)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// answers returns what an engine answers about the worlds, by what it was asked.
func answers(t *testing.T, e storagetest.Engine, worlds []*world) map[string]any {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	all := map[string]any{}
	add := func(name string, v any, err error) {
		if err != nil {
			v = err.Error()
		}
		all[name] = v
	}
	set, version, err := e.SigningKeys(ctx)
	add("keys", set, err)
	add("version of keys", version, nil)
	clients, err := e.Clients(ctx)
	add("clients", clients, err)
	permits, err := e.InitialTokens(ctx)
	add("initial access tokens", permits, err)
	device, err := e.DeviceRequest(ctx, [32]byte{7})
	add("device request", device, err)
	apiKeys, err := e.APIKeys(ctx)
	add("API keys", apiKeys, err)
	sent, _, err := e.BeginRequest(ctx, idempotency.Request{Key: [32]byte{9}, Began: time.Now()})
	add("request that is carried out once", sent, err)
	for _, unit := range []funnel.Unit{funnel.Hour, funnel.Day} {
		counted, err := e.Funnel(ctx, unit, time.Unix(0, 0), time.Now().Add(time.Hour))
		add("funnel", counted, err)
	}
	secrets, err := e.UseCallbackSecret(ctx, "app", [32]byte{2}, time.Now(), time.Hour)
	add("callback secrets", secrets, err)
	heads, err := e.AuditHeads(ctx)
	add("heads of the audit", heads, err)
	inbox, err := e.Deliveries(ctx, 1000)
	slices.SortFunc(inbox, func(a, b truecaller.Delivery) int { return cmp.Compare(a.ID, b.ID) })
	add("inbox", inbox, err)
	add("issuer", nil, e.PinIssuer(ctx, issuer))
	receivers, err := e.Receivers(ctx)
	add("receivers", receivers, err)
	taken, err := e.TakeReceivers(ctx, 1000)
	slices.Sort(taken)
	add("receivers that are due", taken, err)
	for _, id := range taken {
		n, err := e.NextNotice(ctx, id)
		add("first notice of "+id, n, err)
		add("left "+id, nil, e.LeaveReceiver(ctx, id, 0))
	}
	streams, err := e.Streams(ctx)
	add("streams", streams, err)
	wanted, err := e.SubjectRemoved(ctx, "news", [32]byte{6})
	add("removed subject", wanted, err)
	for _, w := range worlds {
		add2 := func(name string, v any, err error) { add(w.id(name), v, err) }
		a, err := e.Attempt(ctx, w.attempt.ID)
		add2("attempt", a, err)
		a, err = e.AttemptByCorrelation(ctx, w.attempt.Correlation)
		add2("attempt by state", a, err)
		for _, form := range []string{"form", "another form", "old"} {
			a, err = e.AttemptByForm(ctx, w.hash(form))
			add2("attempt by "+form, a, err)
		}
		live, err := e.LiveAttempts(ctx, w.attempt.Browser, w.now)
		slices.Sort(live)
		add2("live attempts", live, err)
		p, err := e.PersonOf(ctx, w.attempt.Number)
		add2("person of the number", p, err)
		for _, sub := range []string{w.person.Sub, w.id("heir")} {
			account, err := e.Account(ctx, sub)
			slices.SortFunc(account.Sessions, func(a, b session.Session) int { return cmp.Compare(a.ID, b.ID) })
			slices.SortFunc(account.Grants, func(a, b grant.Grant) int { return cmp.Compare(a.ID, b.ID) })
			add2("account of "+sub, account, err)
		}
		s, err := e.Session(ctx, w.session.ID)
		add2("session", s, err)
		s, err = e.SessionBySecret(ctx, w.session.Secret)
		add2("session by its cookie", s, err)
		for _, hash := range []grant.CodeHash{w.used, w.code.Hash} {
			c, g, err := e.Code(ctx, hash)
			add2(fmt.Sprintf("code %x", hash[:4]), c, err)
			add2(fmt.Sprintf("grant of code %x", hash[:4]), g, nil)
		}
		token, g, err := e.AccessToken(ctx, w.token.Hash)
		add2("token", token, err)
		add2("grant", g, err)
		k, err := e.Consent(ctx, w.person.Sub, "shop")
		add2("consent", k, err)
		states, err := e.LimitStates(ctx, w.limits...)
		for i := range states {
			states[i].Until, states[i].Free = states[i].Until.UTC(), states[i].Free.UTC()
		}
		add2("limits", states, err)
		add2("a used assertion", nil, e.UseAssertion(ctx, w.hash("assertion"), w.now.Add(time.Hour)))
		add2("another user with the sub", nil, recreated(ctx, e, w))
	}
	return all
}

// recreated returns the error of a session for the user, which a tombstone refuses, and
// ends that session.
func recreated(ctx context.Context, e storagetest.Engine, w *world) error {
	c := w.code
	c.Hash, c.Grant.SID, c.Grant.ClientID = w.hash(fmt.Sprint("probe", time.Now().UnixNano())), "", "probe"
	err := e.CreateCode(ctx, c)
	return errors.Join(err, e.RevokeClient(ctx, w.person.Sub, "probe"))
}

// same compares the answers of two engines.
func same(t *testing.T, got, want map[string]any) {
	t.Helper()
	for name, v := range want {
		if !reflect.DeepEqual(got[name], v) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got[name], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d answers, want %d", len(got), len(want))
	}
}
