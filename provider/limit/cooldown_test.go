// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	rule = CoolDown{First: 15 * time.Minute, Longest: 4 * time.Hour}
	cool = Key{Kind: CoolingOff, ID: "46701740605"}
)

func cooled(solved bool) Spend {
	return Spend{Cooling: Cooling{Key: cool, Rule: rule, Solved: solved}}
}

func TestCoolDownAfter(t *testing.T) {
	for pushes, want := range []time.Duration{
		0, 0, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 4 * time.Hour, 4 * time.Hour,
	} {
		if got := rule.After(pushes); got != want {
			t.Errorf("after %d pushes: got %s, want %s", pushes, got, want)
		}
	}
	for _, row := range []struct {
		rule CoolDown
		want time.Duration
	}{
		{CoolDown{}, 0},
		{CoolDown{First: time.Hour, Longest: time.Hour}, time.Hour},
		{CoolDown{First: time.Hour, Longest: 90 * time.Minute}, 90 * time.Minute},
		{CoolDown{Longest: time.Hour}, 0},
	} {
		if got := row.rule.After(1000); got != row.want {
			t.Errorf("%+v: got %s, want %s", row.rule, got, row.want)
		}
	}
}

// A cool-down rises with each push, is remembered for as many of its longest times as
// it has counted, and refuses those only who have solved nothing.
func TestCoolDownRisesAndIsForgotten(t *testing.T) {
	by, stored, now := Holder{Attempt: "a", Browser: [32]byte{1}}, States{}, start
	push := func(solved bool) error {
		next, err := Decide(stored, cooled(solved), by, now)
		if err == nil {
			stored = next
		}
		return err
	}
	want := func(pushes int, left time.Duration) {
		t.Helper()
		if got := rule.Count(stored[cool], now); got != pushes {
			t.Errorf("got %d pushes, want %d", got, pushes)
		}
		if got := stored[cool].Free.Sub(now); got != left {
			t.Errorf("got %s left, want %s", got, left)
		}
	}
	for i := range 9 {
		if n := rule.Next(stored[cool], 1, now); n != min(i+1, 6) {
			t.Errorf("before push %d: %d would be remembered", i+1, n)
		}
		if err := push(true); err != nil {
			t.Fatal(err)
		}
		pushes := min(i+1, 6)
		want(pushes, rule.After(pushes))
		if stored[cool].Holder != by {
			t.Errorf("raised by %v", stored[cool].Holder)
		}
	}
	now = now.Add(4*time.Hour - 1)
	var refused *Exceeded
	if err := push(false); !errors.As(err, &refused) ||
		*refused != (Exceeded{Kind: CoolingOff, RetryAt: now.Add(1), Reserved: true}) {
		t.Errorf("before its end: %+v", err)
	}
	now = now.Add(1)
	want(5, 0)
	if err := push(false); err != nil {
		t.Errorf("at its end: %v", err)
	}
	now = now.Add(24*time.Hour - 1)
	want(1, -20*time.Hour+1)
	now = now.Add(1)
	want(0, -20*time.Hour)
}

// A cool-down that refuses is all that a browser learns of the number, and the try is
// paid. One that solves a challenge sees what else refuses, and when it may try.
func TestThreat_ACoolDownHidesTheLock(t *testing.T) {
	lock, number, network := Key{Kind: Lock, ID: cool.ID}, Key{Kind: Number, ID: cool.ID}, Key{Kind: Network, ID: "n"}
	hourly := Rate{Burst: 1, Period: time.Hour}
	cooling := State{Until: start.Add(9 * time.Hour), Free: start.Add(time.Hour)}
	own := Holder{Attempt: "own", Browser: [32]byte{1}}
	ask := func(stored States, solved bool) (States, Exceeded) {
		t.Helper()
		spend := cooled(solved)
		spend.Lock, spend.Number = lock, []Charge{{Key: number, Rate: hourly}}
		spend.Asker = []Charge{{Key: network, Rate: hourly, Own: true}}
		stored[cool] = cooling
		next, err := Decide(stored, spend, Holder{Attempt: "a", Browser: own.Browser}, start)
		var refused *Exceeded
		if !errors.As(err, &refused) {
			t.Fatalf("got %v, want a refusal", err)
		}
		return next, *refused
	}
	for what, row := range map[string]struct {
		stored States
		solved Exceeded
	}{
		"a lock":       {States{lock: {Until: start.Add(time.Minute), Holder: Holder{Attempt: "b"}}}, Exceeded{Kind: Lock, RetryAt: start.Add(time.Minute)}},
		"a long lock":  {States{lock: {Until: start.Add(2 * time.Hour), Holder: Holder{Attempt: "b"}}}, Exceeded{Kind: Lock, RetryAt: start.Add(2 * time.Hour)}},
		"after a push": {States{lock: {Until: start.Add(time.Minute), Holder: own, Approved: true, Free: start.Add(1)}}, Exceeded{Kind: Lock, RetryAt: start.Add(time.Minute)}},
		"the budget":   {States{number: {Until: start.Add(time.Hour)}}, Exceeded{Kind: Number, RetryAt: start.Add(time.Hour)}},
	} {
		if next, got := ask(row.stored, false); got != (Exceeded{Kind: CoolingOff, RetryAt: cooling.Free, Reserved: true}) || len(next) != 1 || next[network].Until.IsZero() {
			t.Errorf("%s: got %+v, %v", what, got, next)
		}
		if _, got := ask(row.stored, true); got != row.solved {
			t.Errorf("%s, solved: got %+v", what, got)
		}
	}
	held := States{lock: {Until: start.Add(2 * time.Hour), Holder: own}}
	if next, got := ask(held, false); got != (Exceeded{Kind: CoolingOff, RetryAt: cooling.Free, Reserved: true, Holder: own.Attempt}) || next != nil {
		t.Errorf("its own attempt holds the lock: got %+v, %v", got, next)
	}
}

func TestWhatBecomesOfACoolDown(t *testing.T) {
	by, other := Holder{Attempt: "a"}, Holder{Attempt: "b"}
	raised := func(pushes int) State { return rule.raised(State{}, by, pushes, start) }
	later := start.Add(time.Minute)
	for _, row := range []struct {
		what   string
		stored State
		how    PushEnd
		by     Holder
		want   State
	}{
		{"no response", raised(3), Unanswered, by, raised(3)},
		{"approved", raised(3), Answered, by, State{}},
		{"declined", raised(1), Declined, by, State{Until: start.Add(8 * time.Hour), Free: later.Add(15 * time.Minute), Holder: by}},
		{"declined at the most", raised(6), Declined, by, State{Until: later.Add(24 * time.Hour), Free: later.Add(4 * time.Hour), Holder: by}},
		{"not sent", raised(3), Unsent, by, State{Until: start.Add(8 * time.Hour), Free: later, Holder: by}},
		{"not sent, the first", raised(1), Unsent, by, State{}},
		{"another attempt has raised it since", raised(3), Declined, other, raised(3)},
		{"not sent, and another has raised it since", raised(3), Unsent, other, raised(3)},
		{"approved, and another has raised it since", raised(3), Answered, other, State{}},
		{"it was cleared meanwhile", State{}, Declined, by, State{}},
	} {
		if got := (Ended{How: row.how, Rule: rule, At: later}).After(row.stored, row.by); got != row.want {
			t.Errorf("%s: got %+v, want %+v", row.what, got, row.want)
		}
	}
}

// A push that was approved, or not sent, gets back what it has paid, once and no more. One
// that was declined or not answered gets nothing.
func TestWhatAPushGetsBack(t *testing.T) {
	number, network := Key{Kind: Number, ID: "a"}, Key{Kind: NumberNetwork, ID: "a b"}
	spend := Spend{
		Asker:  []Charge{{Key: Key{Kind: Network, ID: "b"}, Rate: Rate{Burst: 30, Period: time.Hour}, Own: true}},
		Share:  []Charge{{Key: network, Rate: Rate{Burst: 3, Period: 24 * time.Hour}}},
		Number: []Charge{{Key: number, Rate: Rate{Burst: 10, Period: 24 * time.Hour}}},
	}
	stored := States{}
	for range 2 {
		stored, _ = Decide(stored, spend, Holder{}, start)
	}
	later := start.Add(time.Minute)
	for how, gives := range map[PushEnd]bool{Answered: true, Unsent: true, Declined: false, Unanswered: false} {
		if (Ended{How: how}).GivesBack() != gives {
			t.Errorf("%q gives back: %v", how, !gives)
		}
	}
	end := Ended{How: Answered, At: later}
	paid := spend.Returned()
	if len(paid) != 2 || paid[0].Key != network || paid[1].Key != number {
		t.Fatalf("%+v comes back, want the share and the number's", paid)
	}
	for i, left := range []time.Duration{8 * time.Hour, 24 * time.Hour / 10} {
		once := end.GiveBack(stored[paid[i].Key], paid[i].Each)
		if !once.Until.Equal(start.Add(left)) {
			t.Errorf("%s: %v after one came back, want %v", paid[i].Key.Kind, once.Until, start.Add(left))
		}
		if none := end.GiveBack(once, paid[i].Each); none != (State{}) {
			t.Errorf("%s: %+v after both came back", paid[i].Key.Kind, none)
		}
	}
	if none := end.GiveBack(State{}, time.Hour); none != (State{}) {
		t.Errorf("cleared meanwhile, and %+v", none)
	}
}

// Whatever comes when, and whatever is given back: in every stretch of time a network rings
// the phone without an approval as often as its share allows, and all of them together as
// often as the number's budget allows.
func TestRandomShares(t *testing.T) {
	number := Charge{Key: Key{Kind: Number, ID: "a"}, Rate: Rate{Burst: 10, Period: 24 * time.Hour}}
	rate := number.Rate.Share()
	refusals := map[Kind]int{}
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 11))
		stored, now := States{}, start
		type ring struct {
			at        time.Time
			from, net string
		}
		var rings []ring // that were not given back
		for range 150 {
			now = now.Add(time.Duration(random.Int64N(int64(time.Hour))))
			net := fmt.Sprint(random.IntN(6))
			r := ring{at: now, from: net + "." + fmt.Sprint(random.IntN(4)), net: net}
			spend := Spend{Share: []Charge{{Key: Key{Kind: NumberNetwork, ID: r.from}, Rate: rate}, {Key: Key{Kind: NumberNetwork, ID: r.net}, Rate: rate.Times(2)}},
				Number: []Charge{number}}
			states, err := Decide(stored, spend, Holder{}, now)
			if refused, ok := errors.AsType[*Exceeded](err); ok {
				refusals[refused.Kind]++
				continue
			}
			maps.Copy(stored, states)
			if random.IntN(4) > 0 {
				rings = append(rings, r)
				continue
			}
			end := Ended{How: Answered, At: now.Add(time.Duration(random.Int64N(int64(5 * time.Minute))))}
			for _, paid := range spend.Returned() {
				stored[paid.Key] = end.GiveBack(stored[paid.Key], paid.Each)
			}
			now = end.At
		}
		for i, first := range rings { // the day that it begins
			all, from, net := 0, map[string]int{}, map[string]int{}
			for _, r := range rings[i:] {
				if r.at.Sub(first.at) >= 24*time.Hour {
					break
				}
				all, from[r.from], net[r.net] = all+1, from[r.from]+1, net[r.net]+1
				if all > 2*number.Rate.Burst || from[r.from] > 2*rate.Burst || net[r.net] > 4*rate.Burst {
					t.Fatalf("seed %d: in a day, %d from %s, %d from %s, %d in all", seed, from[r.from], r.from, net[r.net], r.net, all)
				}
			}
		}
	}
	if refusals[Number] == 0 || refusals[NumberNetwork] == 0 {
		t.Errorf("refusals %v: the test shows nothing about one of them", refusals)
	}
}

func TestShareOfARate(t *testing.T) {
	for burst, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 3, 10: 3, 19: 5, 1000: 300} {
		rate := Rate{Burst: burst, Period: time.Hour}
		if got := rate.Share(); got != (Rate{Burst: want, Period: time.Hour}) {
			t.Errorf("of %d: %+v, want %d", burst, got, want)
		}
	}
}

// A clock that was fast has raised a cool-down. Put right, nobody waits for longer than
// the longest, and a little later it counts as it should.
func TestInvariant7_AClockPutRightLeavesNoCoolDown(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 7))
		rule := CoolDown{First: time.Duration(1+random.IntN(60)) * time.Minute}
		rule.Longest = rule.First * time.Duration(1+random.IntN(20))
		spend := Spend{Cooling: Cooling{Key: cool, Rule: rule, Solved: true}}
		fast, stored := start.Add(time.Duration(random.Int64N(int64(rule.Longest)*int64(rule.most()+3)))), States{}
		for range 1 + random.IntN(12) {
			var err error
			if stored, err = Decide(stored, spend, Holder{Attempt: "a"}, fast); err != nil {
				t.Fatal(err)
			}
		}
		spend.Cooling.Solved = false
		_, err := Decide(stored, spend, Holder{Attempt: "b"}, start)
		var refused *Exceeded
		if errors.As(err, &refused) && refused.RetryAt.After(start.Add(rule.Longest)) {
			t.Errorf("seed %d: %s ahead: refused until %v", seed, fast.Sub(start), refused.RetryAt)
		}
		if n := rule.Count(stored[cool], start); n > rule.most() {
			t.Errorf("seed %d: %d pushes are remembered", seed, n)
		}
		if fast.Sub(start) > time.Duration(rule.most()+1)*rule.Longest && err != nil {
			t.Errorf("seed %d: %s ahead: %v", seed, fast.Sub(start), err)
		}
		// What is stored next can be believed.
		spend.Cooling.Solved = true
		stored, err = Decide(stored, spend, Holder{Attempt: "b"}, start)
		if most := start.Add(time.Duration(rule.most()) * rule.Longest); err != nil || stored[cool].Until.After(most) || stored[cool].Free.After(start.Add(rule.Longest)) {
			t.Errorf("seed %d: the state is still ahead: %+v, %v", seed, stored[cool], err)
		}
	}
}

// A small correction of the clock changes little.
func TestACoolDownOfACorrectedClock(t *testing.T) {
	last := start.Add(24 * time.Hour)
	if n := rule.Count(State{Until: last.Add(time.Minute)}, start); n != 6 {
		t.Errorf("a minute ahead: %d pushes, want 6", n)
	}
	if n := rule.Count(State{Until: last.Add(time.Minute + 1)}, start); n != 0 {
		t.Errorf("more than a minute ahead: %d pushes, want 0", n)
	}
}

// The zero rule, and one that makes no sense, remember nothing.
func TestNoCoolDown(t *testing.T) {
	for _, rule := range []CoolDown{{}, {First: time.Hour}, {Longest: time.Hour}} {
		spend := Spend{Cooling: Cooling{Key: cool, Rule: rule}}
		stored, err := Decide(States{}, spend, Holder{}, start)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decide(stored, spend, Holder{}, start); err != nil {
			t.Errorf("%+v: %v", rule, err)
		}
	}
}
