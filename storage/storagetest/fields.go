// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Every field of every record is read as it was stored, including a field that is
// new in the domain type.
func testFields(t *testing.T, w *world) {
	soon := w.now.Add(time.Minute)

	a := Filled[login.Attempt](w.now)
	a.Expires = soon
	w.must(w.CreateAttempt(w.ctx, a, limit.Spend{}, w.now))
	w.reads(a)(w.Attempt(w.ctx, a.ID))
	w.reads(a)(w.AttemptByCorrelation(w.ctx, a.Correlation))

	p := Filled[subject.Person](w.now)
	w.approve(a.ID, p)
	w.reads(p)(w.Person(w.ctx, p.Sub))

	s := Filled[session.Session](w.now)
	s.Expires = soon
	c := Filled[grant.Code](w.now)
	c.Front = nil // stored under keys of its own: see testFront
	c.Expires, c.Grant.Expires = soon, soon.Add(time.Minute)
	c.Grant.SID, c.Grant.Created = s.ID, s.LastUsed
	s, _ = s.Used(c.Grant.ClientID, c.Grant.Created)
	_, err := w.finish(a.ID, session.SecretHash{}, func(*login.Attempt) (session.Session, grant.Code, error) { return s, c, nil })
	w.must(err)
	w.reads(s)(w.Session(w.ctx, s.ID))
	w.reads(s)(w.SessionBySecret(w.ctx, s.Secret))

	k := Filled[consent.Consent](w.now)
	w.must(w.allow(k.Sub, k.ClientID, w.code(""), func(*consent.Consent) consent.Consent { return k }))
	w.reads(k)(w.Consent(w.ctx, k.Sub, k.ClientID))

	token := Filled[grant.AccessToken](w.now)
	token.Expires, token.GrantID = soon, c.Grant.ID
	w.must(w.useCode(c.Hash, func(got grant.Code, g *grant.Grant) grant.Redemption {
		w.same(got, c)
		return grant.Redemption{Grant: &got.Grant, Access: &token}
	}))
	w.reads(c.Grant)(w.Grant(w.ctx, c.Grant.ID))
	gotToken, g, err := w.AccessToken(w.ctx, token.Hash)
	w.must(err)
	w.same(gotToken, token)
	w.same(g, c.Grant)

	d := Filled[truecaller.Delivery](w.now)
	w.put(d)
	w.reads([]truecaller.Delivery{d})(w.Deliveries(w.ctx, 10))

	full := Filled[client.Client](w.now)
	w.must(w.CreateClient(w.ctx, full))
	w.must(w.CreateClient(w.ctx, client.Client{ID: "empty"}))
	w.reads([]client.Client{full, {ID: "empty"}})(w.Clients(w.ctx))

	records := []keys.Record{Filled[keys.Record](w.now), {ID: "empty"}}
	w.must(w.ReplaceSigningKeys(w.ctx, records, 0))
	set, _, err := w.SigningKeys(w.ctx)
	w.must(err)
	w.same(set, records)
}

// Filled returns a T without zero fields. The same T and time give the same value.
func Filled[T any](now time.Time) T {
	var v T
	n := 0
	fill(reflect.ValueOf(&v).Elem(), now, &n, "")
	return v
}

func fill(v reflect.Value, now time.Time, n *int, name string) {
	*n++
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = now.Add(time.Duration(*n) * time.Millisecond)
		return
	case *phone.Number:
		number, err := phone.FromDigits(fmt.Sprintf("4670174%04d", *n))
		if err != nil {
			panic(err)
		}
		*p = number
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), now, n, v.Type().Field(i).Name)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), now, n, name)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), now, n, name)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), now, n, name)
	case reflect.String:
		v.SetString(fmt.Sprintf("%s-%d-é", name, *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(uint64(*n%255 + 1))
	case reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		v.SetUint(uint64(*n) + 1000)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	default:
		panic("storagetest: cannot fill " + v.Type().String())
	}
}
