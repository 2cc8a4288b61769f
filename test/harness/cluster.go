// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Cluster is several servers over one database, behind a proxy that gives each
// request to another one.
type Cluster struct {
	*Production // the first; its Issuer and its AuthorizationURL are those of all
	Nodes       []*Production
	Truecaller  string // its URL

	t     testing.TB
	proxy *http.Transport
	next  atomic.Int64
	down  []atomic.Bool
	busy  []atomic.Int64 // requests under way
}

// VendorURL stands for Truecaller's URL in the keys of a cluster's configuration.
const VendorURL = "VENDOR_URL"

// NewCluster starts n servers with the configuration of Serve. storage is the section
// storage of their configuration. truecaller is as in ServeWith.
func NewCluster(t testing.TB, n int, storage string, truecaller func(callbackURL string) http.Handler, more string, keys ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, down: make([]atomic.Bool, n), busy: make([]atomic.Int64, n), proxy: &http.Transport{MaxIdleConnsPerHost: 64}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := c.choose()
		defer c.busy[i].Add(-1)
		(&httputil.ReverseProxy{
			Transport: c.proxy,
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: c.Nodes[i].address})
				r.Out.Host = r.In.Host
				r.SetXForwarded()
			},
			FlushInterval: -1, // event streams
		}).ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	var handler atomic.Pointer[http.Handler]
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*handler.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(vendor.Close)
	c.Truecaller = vendor.URL
	dir := t.TempDir()
	master := filepath.Join(dir, "master.key")
	if out, err := Run(t, "keys", "init-master", "--out", master); err != nil {
		t.Fatalf("keys init-master: %v\n%s", err, out)
	}
	for i := range keys {
		keys[i] = strings.ReplaceAll(keys[i], VendorURL, vendor.URL)
	}
	more += "\ntrusted_proxies: [127.0.0.1/32]\nstorage: " + storage + "\n"
	for i := range n {
		at := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		own := more
		if !strings.Contains(more, "audit:") {
			own += fmt.Sprintf("\naudit: {to: [file, log], server: node-%d}\n", i)
		}
		c.Nodes = append(c.Nodes, configured(t, proxy.URL, at, filepath.Join(at, "data"), master, vendor.URL, own, keys))
	}
	c.Production = c.Nodes[0]
	made := truecaller(c.CallbackURL())
	handler.Store(&made)
	for _, node := range c.Nodes {
		node.run()
	}
	return c
}

// choose returns the server of the next request, which is busy with it then.
func (c *Cluster) choose() int {
	for i := int(c.next.Add(1)) % len(c.Nodes); ; i = (i + 1) % len(c.Nodes) {
		c.busy[i].Add(1)
		if !c.down[i].Load() {
			return i
		}
		c.busy[i].Add(-1)
	}
}

// RetireNode stops a server as an upgrade does: it gets no more requests, ends those that
// it has, and exits.
func (c *Cluster) RetireNode(i int) {
	c.t.Helper()
	c.down[i].Store(true)
	Eventually(c.t, "a server has nothing to do", func() bool { return c.busy[i].Load() == 0 })
	c.Nodes[i].Stop(os.Interrupt)
}

// StopNode sends sig to a server, which gets no more requests. One must stay up.
func (c *Cluster) StopNode(i int, sig os.Signal) {
	c.down[i].Store(true)
	c.Nodes[i].Stop(sig)
}

// StartNode starts a stopped server again.
func (c *Cluster) StartNode(i int) {
	c.proxy.CloseIdleConnections() // which the stopped server has closed
	c.Nodes[i].Start()
	c.down[i].Store(false)
}
