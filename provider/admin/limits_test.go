// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

var budgets = login.Limits{
	Number: limit.Rate{Burst: 10, Period: 24 * time.Hour}, NumberNetwork: limit.Rate{Burst: 3, Period: 24 * time.Hour}, Network: limit.Rate{Burst: 30, Period: time.Hour},
	Client: limit.Rate{Burst: 3, Period: 90 * time.Minute}, Deployment: limit.Rate{Burst: 100, Period: 90 * 24 * time.Hour},
}

var coolDown = limit.CoolDown{First: 15 * time.Minute, Longest: 4 * time.Hour}

// spend creates an attempt that costs all this.
func (a *api) spend(lock limit.Key, charges ...limit.Charge) {
	a.t.Helper()
	a.create(limit.Spend{Lock: lock, LockFor: 5 * time.Minute, Asker: charges})
}

func (a *api) create(spend limit.Spend) {
	a.t.Helper()
	attempt := login.Attempt{ID: login.ID(rand.Text()), Expires: time.Now().Add(time.Minute)}
	attempt.Correlation = sha256.Sum256([]byte(attempt.ID))
	if err := a.store.CreateAttempt(a.t.Context(), attempt, spend, time.Now()); err != nil {
		a.t.Fatal(err)
	}
}

// push is a spend like that of a push.
func (a *api) push() {
	a.t.Helper()
	a.spend(limit.Key{Kind: limit.Lock, ID: "46701740605"},
		limit.Charge{Key: limit.Key{Kind: limit.Number, ID: "46701740605"}, Rate: budgets.Number},
		limit.Charge{Key: limit.Key{Kind: limit.Network, ID: "2001:db8:1:2::/64"}, Rate: budgets.Network},
		limit.Charge{Key: limit.Key{Kind: limit.Client, ID: "fixed"}, Rate: budgets.Client},
		limit.Charge{Key: limit.Key{Kind: limit.Deployment}, Rate: budgets.Deployment})
}

func (a *api) limits(what, of string) (l admin.Limits) {
	a.t.Helper()
	a.call("POST", "/v1/limits/"+what, of, 200, &l)
	return l
}

func TestLimitsAreShownAndCleared(t *testing.T) {
	a := newAPI(t)
	for range 2 {
		a.create(limit.Spend{Cooling: limit.Cooling{Key: limit.Key{Kind: limit.CoolingOff, ID: "46701740605"}, Rule: coolDown}})
	}
	a.push()
	rows := []struct {
		of, kind, shown, period string
		burst                   int
	}{
		{`{"number":"070-174 06 05"}`, "number", "+46•••••0605", "24h", 10},
		{`{"network":"2001:db8:1:2:3::9"}`, "network", "2001:db8:1:2::/64", "1h", 30},
		{`{"client":"fixed"}`, "client", "fixed", "1h30m", 3},
		{`{"deployment":true}`, "deployment", "all", "2160h", 100},
	}
	for _, row := range rows {
		for range 2 { // looking changes nothing
			l := a.limits("show", row.of)
			if l.Of != row.shown || l.Burst != row.burst || l.Period != row.period || l.Used != 1 || l.Left != row.burst-1 ||
				l.Next.After(time.Now()) || l.Full.Before(time.Now()) {
				t.Errorf("%s: %+v", row.of, l)
			}
			if locked := time.Until(l.LockedUntil) > 4*time.Minute; locked != (row.kind == "number") {
				t.Errorf("%s: locked %v", row.of, l.LockedUntil)
			}
			if cools := time.Until(l.CoolUntil) > 14*time.Minute; cools != (row.kind == "number") {
				t.Errorf("%s: cools until %v", row.of, l.CoolUntil)
			}
		}
	}
	for _, row := range rows {
		if l := a.limits("clear", row.of); l.Used != 0 || l.Left != row.burst || !l.LockedUntil.IsZero() || !l.CoolUntil.IsZero() || !l.Full.IsZero() || l.Of != row.shown {
			t.Errorf("cleared %s: %+v", row.of, l)
		}
		for _, event := range []string{"limit.shown", "limit.cleared"} {
			if !strings.Contains(a.audit.String(), `msg=`+event+` kind=`+row.kind+` of=`+row.shown) {
				t.Errorf("no %s of %s in the audit:\n%s", event, row.kind, a.audit)
			}
		}
	}
	if strings.Contains(a.audit.String(), "1740605") { // invariant 10
		t.Errorf("a whole number in the audit:\n%s", a.audit)
	}
	a.push() // the lock is free

	// What is cleared goes with what users cannot tell from it: the wider networks, and
	// what rings no phone.
	for of, key := range map[string]limit.Key{
		`{"network":"2001:db8:1:2:3::9"}`: {Kind: limit.Network, ID: "2001:db8:1::/48"},
		`{"network":"2001:db8:1:2::/64"}`: {Kind: limit.SilentNetwork, ID: "2001:db8:1::/56"},
		`{"client":"fixed"}`:              {Kind: limit.SilentClient, ID: "fixed"},
		`{"deployment":true}`:             {Kind: limit.SilentDeployment},
	} {
		a.spend(limit.Key{}, limit.Charge{Key: key, Rate: budgets.Network})
		a.limits("clear", of)
		if states, err := a.store.LimitStates(t.Context(), key); err != nil || states[0] != (limit.State{}) {
			t.Errorf("cleared %s: %v is %v, %v", of, key, states, err)
		}
	}

	// A network as the audit writes it; what is used up says until when.
	charge := limit.Charge{Key: limit.Key{Kind: limit.Network, ID: "192.0.2.7/32"}, Rate: budgets.Network}
	a.spend(limit.Key{}, slices.Repeat([]limit.Charge{charge}, 30)...)
	l := a.limits("show", `{"network":"192.0.2.7/32"}`)
	if l.Left != 0 || l.Used != 30 || time.Until(l.Next) < time.Minute || time.Until(l.Full) < 59*time.Minute {
		t.Errorf("used up: %+v", l)
	}
}

// What a network may have of a number is shown as the tighter of two: of the network, and
// of the widest one around it. Both are cleared, and nothing else.
func TestShareOfANumber(t *testing.T) {
	a := newAPI(t)
	day := limit.Rate{Burst: 3, Period: 24 * time.Hour}
	narrow := limit.Charge{Key: limit.Key{Kind: limit.NumberNetwork, ID: "46701740605 2001:db8:1:2::/64"}, Rate: day}
	wide := limit.Charge{Key: limit.Key{Kind: limit.NumberNetwork, ID: "46701740605 2001:db8:1::/48"}, Rate: day.Times(2)}
	const of = `{"number":"070-174 06 05","network":"2001:db8:1:2:3::9"}`
	want := func(what string, used, burst int) {
		t.Helper()
		l := a.limits("show", of)
		if l.Of != "+46•••••0605 from 2001:db8:1:2::/64" || l.Used != used || l.Burst != burst || l.Left != burst-used || l.Period != "24h" ||
			!l.LockedUntil.IsZero() || !l.CoolUntil.IsZero() {
			t.Errorf("%s: %+v, want %d used of %d", what, l, used, burst)
		}
	}
	a.push()
	want("nothing", 0, 3)
	a.spend(limit.Key{}, narrow, wide)
	want("one from this /64", 1, 3)
	a.spend(limit.Key{}, slices.Repeat([]limit.Charge{wide}, 5)...)
	want("five from others in the /48", 6, 6)
	a.limits("clear", of)
	want("cleared", 0, 3)
	if l := a.limits("show", `{"number":"070-174 06 05"}`); l.Used != 1 || l.LockedUntil.IsZero() {
		t.Errorf("the number itself was cleared: %+v", l)
	}
	if !strings.Contains(a.audit.String(), `msg=limit.cleared kind=number_network of="+46•••••0605 from 2001:db8:1:2::/64"`) {
		t.Errorf("the audit does not say what was cleared:\n%s", a.audit)
	}
}

// What a clock that was a day fast has stored is shown as what it counts for.
func TestLimitsThatAreAhead(t *testing.T) {
	a := newAPI(t)
	number := limit.Key{Kind: limit.Number, ID: "46701740605"}
	ahead := login.Attempt{ID: "ahead", Expires: time.Now().Add(25 * time.Hour)}
	err := a.store.CreateAttempt(t.Context(), ahead, limit.Spend{
		Lock:    limit.Key{Kind: limit.Lock, ID: number.ID},
		LockFor: 5 * time.Minute,
		Number:  []limit.Charge{{Key: number, Rate: budgets.Number}},
	}, time.Now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	l := a.limits("show", `{"number":"070-174 06 05"}`)
	if !l.LockedUntil.IsZero() || l.Left != 1 || l.Full.After(time.Now().Add(24*time.Hour)) {
		t.Errorf("got %+v; want no lock, one left, full within a day", l)
	}
}

func TestRefusedLimits(t *testing.T) {
	a := newAPI(t)
	for _, row := range []struct {
		body   string
		status int
		says   string
	}{
		{``, 400, "request body is required"},
		{`[]`, 422, "expected object"},
		{`{"phone":"+46701740605"}`, 422, `body.phone: unexpected property`},
		{`{"deployment":true}{}`, 400, "after top-level value"},
		{`{}`, 422, "the number is missing"},
		{`{"number":"+46701740605","client":"fixed"}`, 422, "say one of"},
		{`{"number":"+46701740605","network":"192.0.2.7","client":"fixed"}`, 422, "say one of"},
		{`{"number":"asha","network":"192.0.2.7"}`, 422, "the number is not a phone number"},
		{`{"number":"+46701740605","network":"10.0.0.0/8"}`, 422, "not an address"},
		{`{"deployment":true,"client":"fixed"}`, 422, "say one of"},
		{`{"number":"asha"}`, 422, "the number is not a phone number"},
		{`{"number":"+46 70"}`, 422, "the number is too short"},
		{`{"number":"+467017406050000"}`, 422, "the number is too long"},
		{`{"number":"+999701740605"}`, 422, "country code that no country has"},
		{`{"number":"020-12 34 56"}`, 422, "not that of a phone"},
		{`{"number":"919999999999"}`, 422, "may be read in several ways"},
		{`{"network":"example.com"}`, 422, "network is not an address"},
		{`{"network":"10.0.0.0/8"}`, 422, "not an address"},
		{`{"network":"2001:db8::/48"}`, 422, "not an address"},
		{`{"client":"nobody"}`, 404, "there is no client nobody"},
	} {
		for _, what := range []string{"show", "clear"} {
			a.refuses("POST", "/v1/limits/"+what, row.body, row.status, row.says)
		}
	}
	if a.audit.Len() > 0 {
		t.Errorf("audited: %s", a.audit)
	}
	a.refuses("GET", "/v1/limits/show", "", 405, "no such method")
	if err := a.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"show", "clear"} {
		a.refuses("POST", "/v1/limits/"+what, `{"deployment":true}`, 500, "the server failed: ")
	}
}

func TestLimitsOfANumberWithoutARegion(t *testing.T) {
	a := newAPI(t, func(c *admin.Config) { c.Region = "" })
	a.refuses("POST", "/v1/limits/show", `{"number":"070-174 06 05"}`, 422, "has no country code")
	raw, err := json.Marshal(a.limits("show", `{"number":"+46701740605"}`))
	if err != nil || strings.Contains(string(raw), "locked_until") || strings.Contains(string(raw), "full_at") {
		t.Errorf("never used: %s, %v", raw, err)
	}
}

// A budget that many share is in parts if it is large. It is shown and cleared as a whole.
func TestASharedBudgetInParts(t *testing.T) {
	large := limit.Rate{Burst: 40_000, Period: time.Hour}
	a := newAPI(t, func(c *admin.Config) { c.Limits.Client, c.Limits.Deployment = large, large })
	for of, key := range map[string]limit.Key{
		`{"client":"fixed"}`:  {Kind: limit.Client, ID: "fixed"},
		`{"deployment":true}`: {Kind: limit.Deployment},
	} {
		parts := limit.Charge{Key: key, Rate: large}.Parts()
		if len(parts) < 2 {
			t.Fatalf("%v is one part", key)
		}
		for i, c := range parts {
			a.spend(limit.Key{}, slices.Repeat([]limit.Charge{c}, 1+i)...)
		}
		used := len(parts) * (len(parts) + 1) / 2
		if l := a.limits("show", of); l.Burst != large.Burst || l.Used != used || l.Left != large.Burst-used || l.Full.IsZero() {
			t.Errorf("%s: %+v, want %d used", of, l, used)
		}
		if l := a.limits("clear", of); l.Used != 0 || l.Left != large.Burst || !l.Full.IsZero() {
			t.Errorf("cleared %s: %+v", of, l)
		}
	}
}
