package harness

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// Cluster is several servers over one database, behind a proxy that gives each
// request to another one.
type Cluster struct {
	*Production // the first; its Issuer and its AuthorizationURL are those of all
	Nodes       []*Production
	Truecaller  string // its URL

	next atomic.Int64
	down []atomic.Bool
}

// NewCluster starts n servers with the configuration of Serve. storage is the section
// storage of their configuration. truecaller is as in ServeWith.
func NewCluster(t testing.TB, n int, storage string, truecaller func(callbackURL string) http.Handler, more string, keys ...string) *Cluster {
	t.Helper()
	c := &Cluster{down: make([]atomic.Bool, n)}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			i := int(c.next.Add(1)) % n
			for c.down[i].Load() {
				i = (i + 1) % n
			}
			r.SetURL(&url.URL{Scheme: "http", Host: c.Nodes[i].address})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		FlushInterval: -1, // event streams
	})
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
	more += "\ntrusted_proxies: [127.0.0.1/32]\nstorage: " + storage + "\n"
	for i := range n {
		at := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		c.Nodes = append(c.Nodes, configured(t, proxy.URL, at, filepath.Join(at, "data"), master, vendor.URL, more, keys))
	}
	c.Production = c.Nodes[0]
	made := truecaller(c.CallbackURL())
	handler.Store(&made)
	for _, node := range c.Nodes {
		node.run()
	}
	return c
}

// StopNode sends sig to a server, which gets no more requests. One must stay up.
func (c *Cluster) StopNode(i int, sig os.Signal) {
	c.down[i].Store(true)
	c.Nodes[i].Stop(sig)
}

// StartNode starts a stopped server again.
func (c *Cluster) StartNode(i int) {
	c.Nodes[i].Start()
	c.down[i].Store(false)
}
