// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
)

func (w *world) deviceRequest() grant.DeviceRequest {
	return grant.DeviceRequest{User: newHash(), Code: newHash(), ClientID: "tv", Scopes: []string{"openid", "phone"},
		Network: "192.0.2.7/32", Created: w.now, Expires: w.now.Add(10 * time.Minute)}
}

func testDeviceRequests(t *testing.T, w *world) {
	d := w.deviceRequest()
	_, err := w.DeviceRequest(w.ctx, d.User)
	w.is(err, grant.ErrNotFound)
	spend := limit.Spend{Asker: []limit.Charge{{Key: limit.Key{Kind: limit.DeviceFlowDeployment}, Rate: limit.Rate{Burst: 1, Period: time.Hour}}}}
	w.must(w.CreateDeviceRequest(w.ctx, d, spend, w.now))
	w.reads(d)(w.DeviceRequest(w.ctx, d.User))

	// It costs something, and what is refused is not stored.
	other := w.deviceRequest()
	if _, ok := errors.AsType[*limit.Exceeded](w.CreateDeviceRequest(w.ctx, other, spend, w.now)); !ok {
		t.Fatal("a second request within the hour is not refused")
	}
	_, err = w.DeviceRequest(w.ctx, other.User)
	w.is(err, grant.ErrNotFound)

	// A user code that is taken stays, and costs nothing.
	other.User = d.User
	w.is(w.CreateDeviceRequest(w.ctx, other, limit.Spend{}, w.now), grant.ErrExists)
	w.reads(d)(w.DeviceRequest(w.ctx, d.User))
	w.reopen()
	w.reads(d)(w.DeviceRequest(w.ctx, d.User))

	// One that has expired is found for a while, and then its user code may be used again.
	expired := w.deviceRequest()
	expired.Expires = w.now.Add(-time.Minute)
	w.must(w.CreateDeviceRequest(w.ctx, expired, limit.Spend{}, w.now))
	w.reads(expired)(w.DeviceRequest(w.ctx, expired.User))
	gone := w.deviceRequest()
	gone.Expires = w.now.Add(-time.Hour)
	w.must(w.CreateDeviceRequest(w.ctx, gone, limit.Spend{}, w.now))
	_, err = w.DeviceRequest(w.ctx, gone.User)
	w.is(err, grant.ErrNotFound)
	again := w.deviceRequest()
	again.User = gone.User
	w.must(w.CreateDeviceRequest(w.ctx, again, limit.Spend{}, w.now))
	w.reads(again)(w.DeviceRequest(w.ctx, again.User))
}

// answer is the code by which a user with this session allows a device what it asks for.
func (w *world) answer(d grant.DeviceRequest, s session.Session) grant.Code {
	c := w.code(s.ID)
	c.Hash, c.RedirectURI, c.Challenge, c.Grant.Sub, c.Expires, c.FormExpires = d.Code, "", "", s.Sub, d.Expires, d.Expires
	return c
}

// A device is answered once, by whichever transaction.
func testDeviceAnswers(t *testing.T, w *world) {
	s := w.session()
	w.signIn(s, session.SecretHash{})
	byCode := func(d grant.DeviceRequest) error { return w.CreateCode(w.ctx, w.answer(d, s)) }
	byDenial := func(d grant.DeviceRequest) error {
		return w.CreateCode(w.ctx, grant.DeniedCode(d.Code, d.ClientID, w.now, d.Expires))
	}
	bySignIn := func(d grant.DeviceRequest) error {
		a := w.create()
		p := w.person(a.Number)
		w.approve(a.ID, p)
		_, err := w.finish(a.ID, session.SecretHash{}, func(a *login.Attempt) (session.Session, grant.Code, error) {
			in := w.session()
			in.Sub = p.Sub
			a.State = login.Done
			return in, w.answer(d, in), nil
		})
		if err != nil { // then the attempt is as it was
			stored, found := w.Attempt(w.ctx, a.ID)
			w.must(found)
			if stored.State != login.Approved {
				t.Errorf("after a sign-in that was too late, its attempt is %s", stored.State)
			}
		}
		return err
	}
	ways := map[string]func(grant.DeviceRequest) error{"a code": byCode, "a denial": byDenial, "a sign-in": bySignIn}
	for first, answer := range ways {
		for second, late := range ways {
			d := w.deviceRequest()
			if err := answer(d); err != nil {
				t.Fatalf("%s: %v", first, err)
			}
			if err := late(d); !errors.Is(err, grant.ErrExists) {
				t.Errorf("%s after %s: got %v, want %v", second, first, err, grant.ErrExists)
			}
			c, g, err := w.Code(w.ctx, d.Code)
			w.must(err)
			if c.Denied != (first == "a denial") || g != nil {
				t.Errorf("after %s, and %s: got %+v, want the first", first, second, c)
			}
		}
	}
	// A user who is gone answers nothing.
	a := w.create()
	p := w.person(a.Number)
	w.approve(a.ID, p)
	d, gone := w.deviceRequest(), w.session()
	gone.Sub = p.Sub
	w.must(w.DeletePerson(w.ctx, p.Sub))
	if err := w.CreateCode(w.ctx, w.answer(d, gone)); !errors.Is(err, session.ErrNotFound) && !errors.Is(err, subject.ErrNotFound) {
		t.Errorf("a deleted user: got %v, want that there is none", err)
	}
}

// Of many answers at once, one is stored.
func testParallelDeviceAnswers(t *testing.T, w *world) {
	s := w.session()
	w.signIn(s, session.SecretHash{})
	for range 10 {
		d := w.deviceRequest()
		var all sync.WaitGroup
		answers := make([]error, 8)
		for i := range answers {
			all.Go(func() {
				c := w.answer(d, s)
				if i%2 == 0 {
					c = grant.DeniedCode(d.Code, d.ClientID, w.now, d.Expires)
				}
				answers[i] = w.CreateCode(w.ctx, c)
			})
		}
		all.Wait()
		taken := -1
		for i, err := range answers {
			switch {
			case err == nil && taken >= 0:
				t.Errorf("answers %d and %d are both stored", taken, i)
			case err == nil:
				taken = i
			case !errors.Is(err, grant.ErrExists):
				t.Errorf("got %v, want %v", err, grant.ErrExists)
			}
		}
		c, _, err := w.Code(w.ctx, d.Code)
		w.must(err)
		if taken < 0 || c.Denied != (taken%2 == 0) {
			t.Errorf("got denied %v, want what answer %d was", c.Denied, taken)
		}
	}
}
