package crash

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

var (
	rounds = flag.Int("crash.rounds", 12, "how often TestInvariant9_Ledger kills the server; every second time it cuts the power")
	power  = flag.String("crash.power", "auto", "power cuts of TestInvariant9_Ledger: auto, required or off")
	seed   = flag.Uint64("crash.seed", 0, "of the moments of TestInvariant9_Ledger; 0: any")
)

const workers = 8

// The ledger is outside of the server: what it has acknowledged to browsers,
// clients and Truecaller. The server is killed in the middle of a load, again and
// again, by kill -9 or by a power cut. After each time, nothing acknowledged is lost
// and nothing consumed comes back:
//
//   - a code is redeemed once
//   - a refresh token works, one of an earlier generation does not
//   - what was revoked, signed out or deleted stays so
//   - a session signs in
//   - a callback that Truecaller got 200 for completes its attempt
//   - a number that a push was sent to stays locked
//
// A request without a response may have happened or not.
func TestInvariant9_Ledger(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(*seed, 1))
	if *seed == 0 {
		random = rand.New(rand.NewPCG(rand.Uint64(), 1))
	}
	data := filepath.Join(t.TempDir(), "data")
	power, why := powerOf(t)
	if power != nil {
		data = filepath.Join(power.mount, "data")
	}
	l := &ledger{t: t, counts: map[string]int{}, acked: map[string]bool{}, states: map[string]string{}}
	l.server = harness.ServeOn(t, data, func(callbackURL string) http.Handler {
		sim := simulator.New(simulator.Config{
			Apps:       []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL}},
			ApproveAll: true,
			HTTP:       &http.Client{Transport: heard{l}, Timeout: harness.Timeout},
		})
		t.Cleanup(sim.Close)
		return l.truecaller(sim.Handler())
	}, "limits: {after_approval: 1s, number: 1000000/1h, network: 1000000/1h, client: 1000000/1h, deployment: 1000000/1h}\nlifetimes: {code: 10m}\n")

	kills, cuts := 0, 0
	for round := range *rounds {
		cutting := power != nil && round%2 == 1
		l.begin(40+random.IntN(160), cutting)
		var wg sync.WaitGroup
		for range workers {
			seed := random.Uint64()
			wg.Go(func() { l.work(rand.New(rand.NewPCG(seed, 2))) })
		}
		stopped := make(chan struct{})
		go func() { wg.Wait(); close(stopped) }()
		select {
		case <-l.enough: // in the middle of the load
		case <-stopped:
			t.Fatal("the workers have stopped before the kill")
		}
		if cutting {
			if err := power.cut(); err != nil {
				t.Fatal(err)
			}
			cuts++
		} else {
			kills++
		}
		l.server.Stop(os.Kill)
		<-stopped
		if cutting {
			if err := power.again(); err != nil {
				t.Fatal(err)
			}
		}
		l.server.Start()
		l.verify(fmt.Sprintf("round %d", round), random)
		if t.Failed() {
			break
		}
	}
	l.server.Stop(os.Interrupt) // before its disk goes
	t.Logf("%d kills, %d power cuts%s; acknowledged and verified:", kills, cuts, why)
	for _, what := range slices.Sorted(maps.Keys(l.counts)) {
		t.Logf("%6d %s", l.counts[what], what)
	}
	for _, what := range kinds {
		if l.counts[what] == 0 && !t.Failed() {
			t.Errorf("no %s was acknowledged before a kill: the load is too small", what)
		}
	}
}

// powerOf returns the disk whose power is cut. Where there is none, the server is
// killed instead, and why says so in the count.
func powerOf(t *testing.T) (d *disk, why string) {
	if *power == "off" {
		return nil, " (off)"
	}
	d, err := newDisk(t)
	if err != nil {
		if *power == "required" {
			t.Fatalf("the power cannot be cut: %v", err)
		}
		return nil, fmt.Sprintf(" (this machine cannot: %v)", err)
	}
	return d, ""
}
