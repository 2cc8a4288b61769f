// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"
)

var isolation = flag.String("crash.isolation", "read_committed", "storage.isolation of the servers over PostgreSQL")

// cluster is three servers over a database of two PostgreSQL servers, the second a
// synchronous replica of the first. Each is reached through a proxy.
type cluster struct {
	*harness.Cluster
	t      *testing.T
	random *rand.Rand
	ledger *ledger

	databases   [2]*pgtest.Server
	proxies     [2]*pgtest.Proxy // from the servers
	primary     int              // which of the two takes writes
	replication *pgtest.Proxy    // from the replica to the primary
}

func newCluster(t *testing.T, l *ledger, random *rand.Rand) *cluster {
	t.Helper()
	c := &cluster{t: t, random: random, ledger: l}
	for i := range c.proxies {
		c.proxies[i] = c.newProxy()
	}
	c.replication = c.newProxy()
	options := pgtest.Options{
		// What the kernel has is not lost with a process. The long form waits for the disk too.
		Durable:  *during > 0,
		Settings: []string{"full_page_writes = on", "synchronous_commit = " + []string{"on", "remote_apply"}[random.IntN(2)]},
	}
	t.Logf("%+v", options)
	first, err := pgtest.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, database := range c.databases {
			if database != nil {
				database.Stop()
			}
		}
	})
	c.databases[0] = first
	c.proxies[0].To(first)
	c.replicate()
	dsn := filepath.Join(t.TempDir(), "dsn")
	text := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%s,%s user=calleridp dbname=postgres sslmode=disable target_session_attrs=read-write",
		c.proxies[0].Port(), c.proxies[1].Port())
	if err := os.WriteFile(dsn, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	storage := fmt.Sprintf("{engine: postgres, dsn_file: %s, isolation: %s}", dsn, *isolation)
	c.Cluster = harness.NewCluster(t, 3, storage, l.simulator, settings)
	return c
}

func (c *cluster) newProxy() *pgtest.Proxy {
	c.t.Helper()
	proxy, err := pgtest.NewProxy()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(proxy.Close)
	return proxy
}

// replicate gives the primary a replica, in the place of the one before.
func (c *cluster) replicate() {
	c.t.Helper()
	other := 1 - c.primary
	if before := c.databases[other]; before != nil {
		c.databases[other] = nil
		before.Stop()
	}
	c.replication.To(c.databases[c.primary])
	replica, err := c.databases[c.primary].Replica(c.replication)
	if err != nil {
		c.t.Fatal(err)
	}
	c.databases[other] = replica
	if err := c.databases[c.primary].WaitForReplica(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.proxies[other].To(replica)
}

// failOver makes the replica the primary. The one before has crashed, and does not come
// back: another replica takes its place.
func (c *cluster) failOver() {
	c.t.Helper()
	c.primary = 1 - c.primary
	if err := c.databases[c.primary].Promote(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.replicate()
}

// ready waits until all servers are ready.
func (c *cluster) ready() {
	c.t.Helper()
	for _, node := range c.Nodes {
		harness.Eventually(c.t, "a server is ready", func() bool {
			response, err := http.Get(node.Address() + "/readyz")
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	}
}

// TestInvariant9_LedgerOfNodes keeps the ledger of three servers over PostgreSQL, each
// request at another one, through all that happens to servers and databases.
func TestInvariant9_LedgerOfNodes(t *testing.T) {
	t.Parallel()
	random := generator(t)
	l := newLedger(t)
	c := newCluster(t, l, random)
	l.server, l.passes = c.Production, true

	took := map[string][]time.Duration{}
	var order []int
	for round, begun := 0, time.Now(); goesOn(t, round, len(disturbances), begun); round++ {
		if len(order) == 0 {
			order = random.Perm(len(disturbances))
		}
		d := disturbances[order[0]]
		order = order[1:]
		name := fmt.Sprintf("round %d, %s", round, d.name)
		t.Log(name)
		l.round(name, 20+random.IntN(60), random, func() {
			d.do(c)
			c.ready()
			l.await(20)
		}, func() {})
		took[d.name] = append(took[d.name], l.gap)
	}
	t.Log("without an acknowledgement, median and longest:")
	for _, d := range disturbances {
		if all := took[d.name]; len(all) > 0 {
			slices.Sort(all)
			t.Logf("%6d times %s: %s, %s", len(all), d.name, all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
		}
	}
	t.Log("acknowledged and verified; failed:")
	l.report()
}
