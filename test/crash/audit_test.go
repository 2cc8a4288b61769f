// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"calleridp/test/harness"
)

// The audit through crashes: audit verify holds before and after each start, and an
// operator's change is never there without its line.

// operator adds clients while the server is disturbed.
type operator struct {
	*ledger
	n     int
	added []string // acknowledged, of all rounds
	lines int      // that the last verification has counted
}

// work adds clients until the load ends.
func (o *operator) work() {
	for !o.stopped() {
		select {
		case <-o.stop:
		case <-time.After(30 * time.Millisecond): // so that users have the machine, too
		}
		o.n++
		id := fmt.Sprintf("crash-%d", o.n)
		out, err := o.server.Command("client", "add", "--id", id, "--name", "Shop", "--redirect-uri", harness.RedirectURI, "--socket", o.server.Socket)
		if err == nil {
			o.ack(clientsAdded, func() { o.added = append(o.added, id) })
		} else {
			_ = o.fault(0, "no client added", out)
		}
	}
}

const clientsAdded = "clients added"

// verifyAudit runs audit verify.
func (o *operator) verifyAudit(when string) {
	o.t.Helper()
	out, err := o.server.Command("audit", "verify", "-o", "json")
	if err != nil {
		o.t.Errorf("%s: audit verify: %v\n%s", when, err, out)
		return
	}
	var reports []struct {
		Lines int
		Notes []struct{ Text string }
	}
	if err := json.Unmarshal([]byte(out), &reports); err != nil || len(reports) != 1 {
		o.t.Errorf("%s: audit verify: %v\n%s", when, err, out)
		return
	}
	o.lines = reports[0].Lines
}

// changes verifies that every acknowledged client is there, and that every client that is
// there has its line.
func (o *operator) changes(when string) {
	o.t.Helper()
	clients, err := o.server.Command("client", "list", "-o", "json", "--socket", o.server.Socket)
	if err != nil {
		o.t.Fatalf("%s: client list: %v\n%s", when, err, clients)
	}
	lines, err := o.server.Command("audit", "show", "--event", "client.added", "--limit", "1000000", "-o", "json")
	if err != nil {
		o.t.Fatalf("%s: audit show: %v\n%s", when, err, lines)
	}
	for _, id := range o.added {
		if !strings.Contains(clients, fmt.Sprintf("%q", id)) {
			o.t.Errorf("%s: the client %s was acknowledged and is lost", when, id)
		}
	}
	for n := range o.n {
		id := fmt.Sprintf("%q", fmt.Sprintf("crash-%d", n+1))
		if strings.Contains(clients, id) && !strings.Contains(lines, `"client":`+id) {
			o.t.Errorf("%s: the client %s is there, and the audit has no line of it", when, id)
		}
	}
}
