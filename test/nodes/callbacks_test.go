// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"
)

// everywhere sends each callback of Truecaller to all servers at once, and remembers
// them.
type everywhere struct {
	c    *cluster
	mu   sync.Mutex
	sent []callback
}

type callback struct {
	path string
	body []byte
}

func (e *everywhere) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		e.c.t.Error(err)
	}
	call := callback{r.URL.Path, body}
	e.mu.Lock()
	e.sent = append(e.sent, call)
	e.mu.Unlock()
	e.send(call)
}

func (e *everywhere) send(call callback) {
	var wg sync.WaitGroup
	for _, node := range e.c.Nodes {
		wg.Go(func() {
			response, err := http.Post(node.Address()+call.path, "application/json", bytes.NewReader(call.body))
			if err != nil {
				e.c.t.Error(err)
				return
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				e.c.t.Errorf("a callback got %d at %s", response.StatusCode, node.Address())
			}
		})
	}
	wg.Wait()
}

// again sends every callback again.
func (e *everywhere) again() {
	e.mu.Lock()
	sent := e.sent
	e.mu.Unlock()
	for _, call := range sent {
		e.send(call)
	}
}

// once is a Truecaller whose tokens open a profile once.
type once struct {
	mu      sync.Mutex
	fetches map[string]int // by token
}

func (o *once) before(truecaller http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/default" {
			truecaller.ServeHTTP(w, r)
			return
		}
		token := r.Header.Get("Authorization")
		o.mu.Lock()
		o.fetches[token]++
		first := o.fetches[token] == 1
		o.mu.Unlock()
		if !first {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		truecaller.ServeHTTP(w, r)
	})
}

// TestInvariant8_ACallbackAtEveryServer sends each callback to all servers at once, and later
// again. One of them fetches the profile, which can be fetched once.
func TestInvariant8_ACallbackAtEveryServer(t *testing.T) {
	truecaller, calls := &once{fetches: map[string]int{}}, &everywhere{}
	c := newCluster(t, pgtest.Options{}, truecaller.before, func(c *cluster) { calls.c, c.calls = c, calls.take })
	for range 8 {
		c.operate(0, "limit", "clear", harness.Number(5))
		c.signIn(harness.NewBrowser(t, c.Issuer), harness.Number(5))
		calls.again()
	}
	c.operate(0, "limit", "clear", harness.Number(5))
	c.signIn(harness.NewBrowser(t, c.Issuer), harness.Number(5)) // what came again does no harm
	truecaller.mu.Lock()
	defer truecaller.mu.Unlock()
	for _, n := range truecaller.fetches {
		if n != 1 {
			t.Errorf("a profile was fetched %d times", n)
		}
	}
	if len(truecaller.fetches) != 9 {
		t.Errorf("%d tokens were used, want 9", len(truecaller.fetches))
	}
}
