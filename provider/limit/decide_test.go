// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"calleridp/provider/redact"
)

func TestDecide(t *testing.T) {
	var (
		number  = Key{Kind: Number, ID: "46701740605"}
		lock    = Key{Kind: Lock, ID: "46701740605"}
		network = Key{Kind: Network, ID: "192.0.2.7/32"}
		client  = Key{Kind: Client, ID: "192.0.2.7/32"} // the network's ID, of another kind
		share   = Key{Kind: NumberNetwork, ID: "46701740605 192.0.2.0/24"}
		hourly  = Rate{Burst: 4, Period: time.Hour} // a charge costs 15 minutes
		once    = Rate{Burst: 1, Period: time.Hour}
	)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	asker := Holder{Attempt: "asker's", Browser: [32]byte{1}}
	other := Holder{Attempt: "other's", Browser: [32]byte{2}}
	before := Holder{Attempt: "asker's own", Browser: asker.Browser}
	own := func(c Charge) Charge {
		c.Own = true
		return c
	}
	taken := func(d time.Duration) State { return State{Until: start.Add(d), Holder: asker} }
	state := func(d time.Duration) State { return State{Until: at(d)} }
	charge := func(k Key, r Rate, reserve int) Charge { return Charge{Key: k, Rate: r, Reserve: reserve} }
	rows := []struct {
		what    string
		stored  States
		spend   Spend
		want    States
		refused *Exceeded
	}{
		{
			what: "nothing to spend",
			want: States{},
		},
		{
			what:  "a duration without a lock locks nothing",
			spend: Spend{LockFor: time.Hour},
			want:  States{},
		},
		{
			what:  "a lock and budgets that were never used",
			spend: Spend{Lock: lock, LockFor: 5 * time.Minute, Asker: []Charge{charge(number, hourly, 0), charge(network, once, 0)}},
			want:  States{lock: taken(5 * time.Minute), number: state(15 * time.Minute), network: state(time.Hour)},
		},
		{
			what:   "a lock that has expired is free",
			stored: States{lock: state(0)},
			spend:  Spend{Lock: lock, LockFor: time.Minute},
			want:   States{lock: taken(time.Minute)},
		},
		{
			what:    "a lock that is held",
			stored:  States{lock: state(1)},
			spend:   Spend{Lock: lock, LockFor: time.Minute},
			refused: &Exceeded{Kind: Lock, RetryAt: at(1)},
		},
		{
			what:   "a budget that was used before",
			stored: States{network: state(15 * time.Minute)},
			spend:  Spend{Asker: []Charge{charge(network, hourly, 0)}},
			want:   States{network: state(30 * time.Minute)},
		},
		{
			what:    "a budget that is spent",
			stored:  States{network: state(time.Hour)},
			spend:   Spend{Asker: []Charge{charge(network, hourly, 0)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(15 * time.Minute)},
		},
		{
			what:   "kinds with the same ID are apart",
			stored: States{network: state(time.Hour)},
			spend:  Spend{Asker: []Charge{charge(client, once, 0)}},
			want:   States{client: state(time.Hour)},
		},
		{
			what:  "a budget that is charged twice pays twice",
			spend: Spend{Asker: []Charge{charge(network, hourly, 0), charge(client, once, 0), charge(network, hourly, 0)}},
			want:  States{network: state(30 * time.Minute), client: state(time.Hour)},
		},
		{
			what:    "a budget that has room for one of two charges",
			stored:  States{network: state(45 * time.Minute)},
			spend:   Spend{Asker: []Charge{charge(network, hourly, 0), charge(network, hourly, 0)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(15 * time.Minute)},
		},
		{
			what:    "the first refusal gives the kind, the latest the time",
			stored:  States{lock: state(5 * time.Minute), number: state(time.Hour)},
			spend:   Spend{Lock: lock, Number: []Charge{charge(number, once, 0)}},
			refused: &Exceeded{Kind: Lock, RetryAt: at(time.Hour)},
		},
		{
			what:    "a rate that makes no sense allows nothing (invariant 7)",
			spend:   Spend{Asker: []Charge{charge(network, Rate{}, 0)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(time.Hour)},
		},
		{
			what:    "a reserve is left alone",
			stored:  States{network: state(30 * time.Minute)},
			spend:   Spend{Asker: []Charge{charge(network, hourly, 2)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(15 * time.Minute), Reserved: true},
		},
		{
			what:   "a charge without the reserve may have it",
			stored: States{network: state(30 * time.Minute)},
			spend:  Spend{Asker: []Charge{charge(network, hourly, 0)}},
			want:   States{network: state(45 * time.Minute)},
		},
		{
			what:    "a budget that is spent is no matter of the reserve",
			stored:  States{network: state(time.Hour)},
			spend:   Spend{Asker: []Charge{charge(network, hourly, 2)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(15 * time.Minute)},
		},
		{
			what:    "a reserve is named only if nothing else refuses",
			stored:  States{network: state(30 * time.Minute), client: state(time.Hour)},
			spend:   Spend{Asker: []Charge{charge(network, hourly, 2), charge(client, once, 0)}},
			refused: &Exceeded{Kind: Client, RetryAt: at(time.Hour)},
		},
		{
			what:    "two reserves: the first gives the kind, the latest the time",
			stored:  States{network: state(30 * time.Minute), client: state(45 * time.Minute)},
			spend:   Spend{Asker: []Charge{charge(network, hourly, 2), charge(client, hourly, 2)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(30 * time.Minute), Reserved: true},
		},
		{
			what:    "what the asker may spend is decided first, and tells nothing about the number",
			stored:  States{lock: {Until: at(1), Holder: other}, number: state(time.Hour), network: state(30 * time.Minute)},
			spend:   Spend{Asker: []Charge{own(charge(network, once, 0))}, Lock: lock, Number: []Charge{charge(number, once, 0)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(30 * time.Minute)},
		},
		{
			what:    "a try that the lock refuses costs the asker's own budget, and no other",
			stored:  States{lock: {Until: at(1), Holder: other}, network: state(15 * time.Minute)},
			spend:   Spend{Asker: []Charge{own(charge(network, hourly, 0)), charge(client, hourly, 0)}, Lock: lock},
			want:    States{network: state(30 * time.Minute)},
			refused: &Exceeded{Kind: Lock, RetryAt: at(1)},
		},
		{
			what:    "a try that the number's budget refuses costs the same",
			stored:  States{number: state(time.Hour)},
			spend:   Spend{Asker: []Charge{own(charge(network, hourly, 0))}, Lock: lock, Number: []Charge{charge(number, once, 0)}},
			want:    States{network: state(15 * time.Minute)},
			refused: &Exceeded{Kind: Number, RetryAt: at(time.Hour)},
		},
		{
			what:   "a push takes of its networks' share, and of the number",
			stored: States{share: state(15 * time.Minute)},
			spend:  Spend{Share: []Charge{charge(share, hourly, 0)}, Number: []Charge{charge(number, hourly, 0)}},
			want:   States{share: state(30 * time.Minute), number: state(15 * time.Minute)},
		},
		{
			what:    "a share that is spent tells nothing else about the number, and the try costs the asker's own budget",
			stored:  States{share: state(30 * time.Minute), lock: {Until: at(1), Holder: other}, number: state(time.Hour)},
			spend:   Spend{Asker: []Charge{own(charge(network, hourly, 0)), charge(client, hourly, 0)}, Share: []Charge{charge(share, once, 0)}, Lock: lock, Number: []Charge{charge(number, once, 0)}},
			want:    States{network: state(15 * time.Minute)},
			refused: &Exceeded{Kind: NumberNetwork, RetryAt: at(30 * time.Minute)},
		},
		{
			what:    "of a share too, a part is reserved",
			stored:  States{share: state(30 * time.Minute)},
			spend:   Spend{Share: []Charge{charge(share, hourly, 2)}},
			refused: &Exceeded{Kind: NumberNetwork, RetryAt: at(15 * time.Minute), Reserved: true},
		},
		{
			what:    "what the asker may spend is decided before the share, and is not paid",
			stored:  States{share: state(time.Hour), network: state(30 * time.Minute)},
			spend:   Spend{Asker: []Charge{own(charge(network, once, 0))}, Share: []Charge{charge(share, once, 0)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(30 * time.Minute)},
		},
		{
			what:    "a try that the number refuses takes nothing of the share",
			stored:  States{lock: {Until: at(1), Holder: other}},
			spend:   Spend{Asker: []Charge{own(charge(network, hourly, 0))}, Share: []Charge{charge(share, once, 0)}, Lock: lock},
			want:    States{network: state(15 * time.Minute)},
			refused: &Exceeded{Kind: Lock, RetryAt: at(1)},
		},
		{
			what:    "the browser that holds the lock is not refused by a share",
			stored:  States{lock: {Until: at(1), Holder: before}, share: state(time.Hour)},
			spend:   Spend{Share: []Charge{charge(share, once, 0)}, Lock: lock},
			refused: &Exceeded{Kind: Lock, RetryAt: at(1), Holder: before.Attempt},
		},
		{
			what:    "the browser that holds the lock learns of its own attempt, for nothing",
			stored:  States{lock: {Until: at(1), Holder: before}, network: state(time.Hour)},
			spend:   Spend{Asker: []Charge{own(charge(network, once, 0))}, Lock: lock},
			refused: &Exceeded{Kind: Lock, RetryAt: at(1), Holder: before.Attempt},
		},
		{
			what:    "it pays while a known browser's push keeps the lock for longer",
			stored:  States{lock: {Until: at(2), Free: at(2), Holder: before}},
			spend:   Spend{Asker: []Charge{own(charge(network, hourly, 0)), charge(client, hourly, 0)}, Lock: lock},
			refused: &Exceeded{Kind: Lock, RetryAt: at(2), Holder: before.Attempt},
			want:    States{network: state(15 * time.Minute)},
		},
		{
			what:    "and is refused by what it may spend",
			stored:  States{lock: {Until: at(2), Free: at(2), Holder: before}, network: state(time.Hour)},
			spend:   Spend{Asker: []Charge{own(charge(network, once, 0))}, Lock: lock},
			refused: &Exceeded{Kind: Network, RetryAt: at(time.Hour)},
		},
		{
			what:    "a browser is known by the secrets that it had before",
			stored:  States{lock: {Until: at(1), Holder: before}},
			spend:   Spend{Lock: lock, Before: []redact.Hash{{9}, before.Browser}},
			refused: &Exceeded{Kind: Lock, RetryAt: at(1), Holder: before.Attempt},
		},
		{
			what:   "by an approval too",
			stored: States{lock: {Until: at(1), Holder: other, Approved: true}},
			spend:  Spend{Lock: lock, LockFor: time.Minute, Before: []redact.Hash{other.Browser}},
			want:   States{lock: taken(time.Minute)},
		},
		{
			what:   "a lane of its own: the number's lock refuses nothing, and stays with who has it",
			stored: States{network: {Until: at(1), Holder: other}},
			spend:  Spend{Lock: lock, LockFor: time.Minute, Block: network},
			want:   States{lock: taken(time.Minute), network: {Until: at(time.Minute), Free: at(time.Minute), Holder: other}},
		},
		{
			what:   "a lane of its own: a longer lock stays as it is",
			stored: States{network: {Until: at(time.Hour), Holder: other}},
			spend:  Spend{Lock: lock, LockFor: time.Minute, Block: network},
			want:   States{lock: taken(time.Minute), network: {Until: at(time.Hour), Free: at(time.Minute), Holder: other}},
		},
		{
			what:   "a lane of its own: it binds a browser that was approved before, too",
			stored: States{network: {Until: at(1), Holder: other, Approved: true}},
			spend:  Spend{Lock: lock, LockFor: time.Minute, Block: network},
			want:   States{lock: taken(time.Minute), network: {Until: at(time.Minute), Free: at(time.Minute), Holder: other}},
		},
		{
			what:   "a lane of its own: what the same browser holds is taken over",
			stored: States{network: {Until: at(1), Holder: before, Approved: true}},
			spend:  Spend{Lock: lock, LockFor: time.Minute, Block: network},
			want:   States{lock: taken(time.Minute), network: {Until: at(time.Minute), Free: at(1), Holder: asker}},
		},
		{
			what:   "a lane of its own: a free lock is taken, so that others wait",
			stored: States{network: {Until: start, Holder: other, Approved: true}},
			spend:  Spend{Lock: lock, LockFor: time.Minute, Block: network},
			want:   States{lock: taken(time.Minute), network: taken(time.Minute)},
		},
		{
			what:    "while another's push is open, an approval frees no browser, and tells it as little as others",
			stored:  States{lock: {Until: at(2), Free: at(1), Holder: before, Approved: true}},
			spend:   Spend{Lock: lock, LockFor: time.Minute},
			refused: &Exceeded{Kind: Lock, RetryAt: at(2)},
		},
		{
			what:   "another's push that has ended does not bind it",
			stored: States{lock: {Until: at(2), Free: at(0), Holder: before, Approved: true}},
			spend:  Spend{Lock: lock, LockFor: time.Minute},
			want:   States{lock: taken(time.Minute)},
		},
		{
			what:    "no browser is not one browser",
			stored:  States{lock: {Until: at(1), Approved: true}},
			spend:   Spend{Lock: lock, Before: []redact.Hash{{}}},
			refused: &Exceeded{Kind: Lock, RetryAt: at(1)},
		},
		{
			what:    "after an approval, the lock binds other browsers",
			stored:  States{lock: {Until: at(1), Holder: other, Approved: true}},
			spend:   Spend{Lock: lock, LockFor: time.Minute},
			refused: &Exceeded{Kind: Lock, RetryAt: at(1)},
		},
		{
			what:   "and not the one that was approved",
			stored: States{lock: {Until: at(1), Holder: before, Approved: true}},
			spend:  Spend{Lock: lock, LockFor: time.Minute},
			want:   States{lock: taken(time.Minute)},
		},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			before := maps.Clone(row.stored)
			got, err := Decide(row.stored, row.spend, asker, start)
			if !maps.Equal(row.stored, before) {
				t.Errorf("the stored states changed: got %v, want %v", row.stored, before)
			}
			if row.refused != nil {
				var exceeded *Exceeded
				if !errors.As(err, &exceeded) || *exceeded != *row.refused || !maps.Equal(got, row.want) {
					t.Errorf("got %v, %+v; want %v and a refusal %+v", got, err, row.want, row.refused)
				}
				return
			}
			if err != nil || !maps.Equal(got, row.want) {
				t.Errorf("got %v, %v; want %v", got, err, row.want)
			}
			keys := row.spend.Keys()
			if len(keys) != len(got) {
				t.Errorf("got states of %d keys, want those of %v", len(got), keys)
			}
			for _, key := range keys {
				if _, has := got[key]; !has {
					t.Errorf("no state for %v", key)
				}
			}
		})
	}
}

func TestKeysOfASpend(t *testing.T) {
	lock, a, b := Key{Kind: Lock, ID: "a"}, Key{Kind: Number, ID: "a"}, Key{Kind: Client, ID: "b"}
	share := Key{Kind: NumberNetwork, ID: "a b"}
	for _, row := range []struct {
		what  string
		spend Spend
		want  []Key
	}{
		{"nothing", Spend{}, []Key{}},
		{"a lock alone", Spend{Lock: lock}, []Key{lock}},
		{"in the order of the decision, each key once",
			Spend{Asker: []Charge{{Key: b}, {Key: b}}, Lock: lock, Share: []Charge{{Key: share}}, Number: []Charge{{Key: a}, {Key: b}}}, []Key{b, lock, share, a}},
	} {
		if got := row.spend.Keys(); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %v, want %v", row.what, got, row.want)
		}
	}
}
