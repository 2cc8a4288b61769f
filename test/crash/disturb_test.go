// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"os"
	"time"

	"calleridp/storage/postgres/pgtest"
)

// disturbances are what happens to servers and databases. Afterwards everything must go
// on by itself. What is not among them: to end connections whose commits wait for a replica
// that is away, and then to promote it. Others may have seen these commits, and said so
// (docs/operators/many-servers.md, Failover); TestTheOutcomeWaitsForTheReplica has what can be promised.
var disturbances = []struct {
	name string
	do   func(*cluster)
}{
	{"servers killed", (*cluster).killServers},
	{"connections terminated", (*cluster).terminate},
	{"a backend killed", (*cluster).killBackend},
	{"the database killed", (*cluster).killDatabase},
	{"the database stopped at once", (*cluster).stopDatabase},
	{"commits cut", (*cluster).cutCommits},
	{"the database held back", (*cluster).hold},
	{"the replica held back", (*cluster).holdReplica},
	{"the replica promoted", (*cluster).promote},
}

// killServers kills one or two of the three servers (kill -9), and starts them again.
func (c *cluster) killServers() {
	killed := c.random.Perm(len(c.Nodes))[:1+c.random.IntN(2)]
	for _, i := range killed {
		c.StopNode(i, os.Kill)
	}
	c.ledger.await(20)
	for _, i := range killed {
		c.StartNode(i)
	}
}

// backends returns the processes of the database that serve the servers.
func (c *cluster) backends() []int {
	backends, err := c.databases[c.primary].Backends(c.t.Context(), "postgres")
	if err != nil {
		c.t.Fatal(err)
	}
	c.random.Shuffle(len(backends), func(i, j int) { backends[i], backends[j] = backends[j], backends[i] })
	return backends
}

// terminate ends some of the connections, or all, as an administrator does.
func (c *cluster) terminate() {
	backends := c.backends()
	for _, backend := range backends[c.random.IntN(len(backends)):] {
		if err := c.databases[c.primary].Terminate(c.t.Context(), backend); err != nil {
			c.t.Fatal(err)
		}
	}
}

// killBackend kills a process of the database (kill -9), which then ends all others and
// recovers.
func (c *cluster) killBackend() {
	if err := c.databases[c.primary].KillBackend(c.t.Context(), c.backends()[0]); err != nil {
		c.t.Fatal(err)
	}
}

// killDatabase kills all processes of the database (kill -9).
func (c *cluster) killDatabase() {
	c.crash()
	c.restart()
}

func (c *cluster) crash() {
	if err := c.databases[c.primary].Crash(); err != nil {
		c.t.Fatal(err)
	}
}

// stopDatabase stops the database without a checkpoint (pg_ctl -m immediate).
func (c *cluster) stopDatabase() {
	c.databases[c.primary].Kill()
	c.restart()
}

func (c *cluster) restart() {
	if err := c.databases[c.primary].Restart(); err != nil {
		c.t.Fatal(err)
	}
}

// cutCommits cuts connections in the middle of commits.
func (c *cluster) cutCommits() {
	places := []pgtest.Cut{pgtest.BeforeCommit, pgtest.AfterCommit, pgtest.BeforeAnswer}
	var cuts []pgtest.Cut
	for range 20 {
		cuts = append(cuts, places[c.random.IntN(len(places))])
	}
	proxy := c.proxies[c.primary]
	for proxy.CutCommits(cuts...); proxy.Uncut() > 0 && !c.t.Failed(); {
		c.ledger.await(1)
	}
}

// hold keeps what the servers and the database say back for a while.
func (c *cluster) hold() { c.holdFor(c.proxies[c.primary]) }

// holdReplica keeps what the replica gets back: all commits wait.
func (c *cluster) holdReplica() { c.holdFor(c.replication) }

func (c *cluster) holdFor(proxy *pgtest.Proxy) {
	release := proxy.Hold()
	<-time.After(time.Duration(100+c.random.IntN(2000)) * time.Millisecond)
	release()
}

// promote kills the primary, and promotes its replica.
func (c *cluster) promote() {
	c.crash()
	c.failOver()
}
