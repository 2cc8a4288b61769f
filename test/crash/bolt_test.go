// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"calleridp/test/harness"
)

var (
	rounds = flag.Int("crash.rounds", 0, "how often the tests of the ledger disturb the servers; 0: 12 times, and PostgreSQL in each way once")
	during = flag.Duration("crash.for", 0, "how long they do so, at least; 0: crash.rounds decides")
	power  = flag.String("crash.power", "auto", "power cuts of TestInvariant9_Ledger, every second time: auto, required or off")
	seed   = flag.Uint64("crash.seed", 0, "of what the tests of the ledger do; 0: any")
)

// generator returns the random generator of a test, and logs its seed.
func generator(t *testing.T) *rand.Rand {
	from := *seed
	for from == 0 {
		from = rand.Uint64()
	}
	t.Logf("-crash.seed %d", from)
	return rand.New(rand.NewPCG(from, 1))
}

// goesOn reports whether a test of the ledger disturbs the servers once more.
// Without a flag, it does so as often as usual.
func goesOn(t *testing.T, round, usual int, begun time.Time) bool {
	if *during > 0 {
		return !t.Failed() && time.Since(begun) < *during
	}
	return !t.Failed() && round < cmp.Or(*rounds, usual)
}

// TestInvariant9_Ledger keeps the ledger of one server with the embedded engine, which is
// killed (kill -9), or whose power is cut.
func TestInvariant9_Ledger(t *testing.T) {
	t.Parallel()
	random := generator(t)
	data := filepath.Join(t.TempDir(), "data")
	power, why := powerOf(t)
	if power != nil {
		data = filepath.Join(power.mount, "data")
	}
	l := newLedger(t)
	l.server = harness.ServeOn(t, data, l.simulator, settings)

	o := &operator{ledger: l}
	l.beside = o.work
	kills, cuts := 0, 0
	for round, begun := 0, time.Now(); goesOn(t, round, 12, begun); round++ {
		cutting := power != nil && round%2 == 1
		disturb := func() {
			l.stopLoad()
			if cutting {
				if err := power.cut(); err != nil {
					t.Fatal(err)
				}
				cuts++
			} else {
				kills++
			}
			l.server.Stop(os.Kill)
		}
		repair := func() {
			if cutting {
				if err := power.again(); err != nil {
					t.Fatal(err)
				}
			}
			o.verifyAudit("before the start")
			l.server.Start()
			o.verifyAudit("after it")
			o.changes("after it")
		}
		l.round(fmt.Sprintf("round %d", round), 40+random.IntN(160), random, disturb, repair)
	}
	l.server.Stop(os.Interrupt) // before its disk goes
	o.verifyAudit("at the end")
	if l.counts[clientsAdded] == 0 && !t.Failed() {
		t.Error("no client was added: the load is too small")
	}
	t.Logf("%d lines of the audit", o.lines)
	t.Logf("%d kills, %d power cuts%s; acknowledged and verified:", kills, cuts, why)
	l.report()
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
