package limit

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	var (
		number  = Key{Kind: Number, ID: "46701740605"}
		lock    = Key{Kind: Lock, ID: "46701740605"}
		network = Key{Kind: Network, ID: "192.0.2.7/32"}
		client  = Key{Kind: Client, ID: "192.0.2.7/32"} // the network's ID, of another kind
		hourly  = Rate{Burst: 4, Period: time.Hour}     // a charge costs 15 minutes
		once    = Rate{Burst: 1, Period: time.Hour}
	)
	at := func(d time.Duration) time.Time { return start.Add(d) }
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
			spend: Spend{Lock: lock, LockFor: 5 * time.Minute, Charges: []Charge{charge(number, hourly, 0), charge(network, once, 0)}},
			want:  States{lock: at(5 * time.Minute), number: at(15 * time.Minute), network: at(time.Hour)},
		},
		{
			what:   "a lock that has expired is free",
			stored: States{lock: start},
			spend:  Spend{Lock: lock, LockFor: time.Minute},
			want:   States{lock: at(time.Minute)},
		},
		{
			what:    "a lock that is held",
			stored:  States{lock: at(1)},
			spend:   Spend{Lock: lock, LockFor: time.Minute},
			refused: &Exceeded{Kind: Lock, RetryAt: at(1)},
		},
		{
			what:   "a budget that was used before",
			stored: States{network: at(15 * time.Minute)},
			spend:  Spend{Charges: []Charge{charge(network, hourly, 0)}},
			want:   States{network: at(30 * time.Minute)},
		},
		{
			what:    "a budget that is spent",
			stored:  States{network: at(time.Hour)},
			spend:   Spend{Charges: []Charge{charge(network, hourly, 0)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(15 * time.Minute)},
		},
		{
			what:   "kinds with the same ID are apart",
			stored: States{network: at(time.Hour)},
			spend:  Spend{Charges: []Charge{charge(client, once, 0)}},
			want:   States{client: at(time.Hour)},
		},
		{
			what:  "a budget that is charged twice pays twice",
			spend: Spend{Charges: []Charge{charge(network, hourly, 0), charge(client, once, 0), charge(network, hourly, 0)}},
			want:  States{network: at(30 * time.Minute), client: at(time.Hour)},
		},
		{
			what:    "a budget that has room for one of two charges",
			stored:  States{network: at(45 * time.Minute)},
			spend:   Spend{Charges: []Charge{charge(network, hourly, 0), charge(network, hourly, 0)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(15 * time.Minute)},
		},
		{
			what:    "the first refusal gives the kind, the latest the time",
			stored:  States{lock: at(5 * time.Minute), number: at(time.Hour), network: at(time.Hour)},
			spend:   Spend{Lock: lock, Charges: []Charge{charge(number, once, 0), charge(network, hourly, 0)}},
			refused: &Exceeded{Kind: Lock, RetryAt: at(time.Hour)},
		},
		{
			what:    "a rate that makes no sense allows nothing (invariant 7)",
			spend:   Spend{Charges: []Charge{charge(network, Rate{}, 0)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(time.Hour)},
		},
		{
			what:    "a reserve is left alone",
			stored:  States{network: at(30 * time.Minute)},
			spend:   Spend{Charges: []Charge{charge(network, hourly, 2)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(15 * time.Minute), Reserved: true},
		},
		{
			what:   "a charge without the reserve may have it",
			stored: States{network: at(30 * time.Minute)},
			spend:  Spend{Charges: []Charge{charge(network, hourly, 0)}},
			want:   States{network: at(45 * time.Minute)},
		},
		{
			what:    "a budget that is spent is no matter of the reserve",
			stored:  States{network: at(time.Hour)},
			spend:   Spend{Charges: []Charge{charge(network, hourly, 2)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(15 * time.Minute)},
		},
		{
			what:    "a reserve is named only if nothing else refuses",
			stored:  States{network: at(30 * time.Minute), client: at(time.Hour)},
			spend:   Spend{Charges: []Charge{charge(network, hourly, 2), charge(client, once, 0)}},
			refused: &Exceeded{Kind: Client, RetryAt: at(time.Hour)},
		},
		{
			what:    "two reserves: the first gives the kind, the latest the time",
			stored:  States{network: at(30 * time.Minute), client: at(45 * time.Minute)},
			spend:   Spend{Charges: []Charge{charge(network, hourly, 2), charge(client, hourly, 2)}},
			refused: &Exceeded{Kind: Network, RetryAt: at(30 * time.Minute), Reserved: true},
		},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			before := maps.Clone(row.stored)
			got, err := Decide(row.stored, row.spend, start)
			if !maps.Equal(row.stored, before) {
				t.Errorf("the stored states changed: got %v, want %v", row.stored, before)
			}
			if row.refused != nil {
				var exceeded *Exceeded
				if !errors.As(err, &exceeded) || *exceeded != *row.refused || got != nil {
					t.Errorf("got %v, %+v; want a refusal %+v", got, err, row.refused)
				}
				return
			}
			if err != nil || !maps.EqualFunc(got, row.want, time.Time.Equal) {
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
	for _, row := range []struct {
		what  string
		spend Spend
		want  []Key
	}{
		{"nothing", Spend{}, []Key{}},
		{"a lock alone", Spend{Lock: lock}, []Key{lock}},
		{"the lock first, each key once", Spend{Lock: lock, Charges: []Charge{{Key: b}, {Key: a}, {Key: b}}}, []Key{lock, b, a}},
	} {
		if got := row.spend.Keys(); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %v, want %v", row.what, got, row.want)
		}
	}
}
