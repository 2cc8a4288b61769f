// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"container/list"
	"context"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
)

const (
	// reservedConnections are those beyond the limits, for callbacks and health checks.
	reservedConnections = 256
	// reservedPerNetwork is how many of them one network may have.
	reservedPerNetwork = 64
)

// Connections bounds the connections to a listener that strangers may reach, in all and from
// one network. At a limit, a new connection takes the place of the one that has waited
// longest for a request. If all are in use, it is accepted all the same, as one of a
// few that are reserved: whether a connection brings a callback or a health check
// shows only in its request. Another request gets 503 there, which tells the client
// when to try again; a connection that is not accepted would tell it nothing.
type Connections struct {
	most, perNetwork int
	proxies          ClientAddresses // whose connections are those of many clients

	mu       sync.Mutex
	open     map[*connection]struct{}
	networks map[string]*network
	waiting  list.List // *connection without a request, the longest first
	reserved int
	silent   list.List // the reserved ones of these
	refused  uint64
}

// network is a client network with a connection.
type network struct {
	open     int // without the reserved ones
	reserved int
	waiting  list.List // as in Connections
}

// connection is an accepted connection.
type connection struct {
	net.Conn
	all      *Connections
	network  string // "" if its number is not limited
	reserved bool

	// Guarded by all.mu.
	state         http.ConnState
	since         time.Time // of the state
	place, placed *list.Element
}

// NewConnections returns limits for a listener. The connections of trusted proxies
// count in all, and not as one network.
func NewConnections(most, perNetwork int, proxies ClientAddresses) *Connections {
	return &Connections{
		most:       most,
		perNetwork: perNetwork,
		proxies:    proxies,
		open:       map[*connection]struct{}{},
		networks:   map[string]*network{},
	}
}

// needsFiles returns how many open files the process needs at the limits of its listeners:
// one a connection, and some for everything else.
func needsFiles(limits ...*Connections) uint64 {
	const others = 256
	need := uint64(others)
	for _, cs := range limits {
		need += uint64(cs.most) + reservedConnections
	}
	return need
}

// Open returns the number of open connections.
func (cs *Connections) Open() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.open)
}

// Refused returns how many requests and connections the limits have refused.
func (cs *Connections) Refused() uint64 {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.refused
}

// serve makes web observe the limits on the connections of l, which it returns
// wrapped.
func (cs *Connections) serve(web *http.Server, l net.Listener) net.Listener {
	web.ConnState = cs.observe
	web.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if held := heldBy(c); held != nil && held.reserved {
			return context.WithValue(ctx, reservedKey{}, true)
		}
		return ctx
	}
	web.Handler = cs.handler(web.Handler)
	return limitedListener{l, cs}
}

type limitedListener struct {
	net.Listener
	all *Connections
}

// Accept implements net.Listener.
func (l limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if held := l.all.admit(conn); held != nil {
			return held, nil
		}
		conn.Close()
	}
}

// admit returns the connection as one that counts, nil if there is no place for it.
func (cs *Connections) admit(conn net.Conn) *connection {
	held := &connection{Conn: conn, all: cs, network: cs.networkOf(conn), since: time.Now()}
	replaced, ok := cs.add(held)
	if replaced != nil {
		replaced.Conn.Close()
	}
	if !ok {
		return nil
	}
	return held
}

// add counts a connection and returns the one whose place it takes, if any. It
// returns false if there is no place.
func (cs *Connections) add(held *connection) (replaced *connection, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	n := cs.networks[held.network]
	full := false
	switch {
	case n != nil && n.open >= cs.perNetwork:
		replaced, full = first(&n.waiting), true
	case len(cs.open)-cs.reserved >= cs.most:
		replaced, full = first(&cs.waiting), true
	}
	if full && replaced == nil {
		held.reserved = true
		if cs.reserved >= reservedConnections {
			replaced = first(&cs.silent)
		}
		if cs.reserved >= reservedConnections && replaced == nil || n != nil && n.reserved >= reservedPerNetwork {
			cs.refused++
			return nil, false
		}
	}
	if replaced != nil {
		cs.remove(replaced)
	}
	cs.count(held, 1)
	cs.open[held] = struct{}{}
	cs.queue(held)
	return replaced, true
}

// count adds one to, or takes one from, the numbers to which a connection belongs.
func (cs *Connections) count(held *connection, one int) {
	if held.reserved {
		cs.reserved += one
	}
	if held.network == "" {
		return
	}
	n := cs.networks[held.network]
	if n == nil {
		n = &network{}
		cs.networks[held.network] = n
	}
	if held.reserved {
		n.reserved += one
	} else {
		n.open += one
	}
	if n.open+n.reserved == 0 {
		delete(cs.networks, held.network)
	}
}

// networkOf returns the network whose connections are counted, "" for a proxy's and
// for a connection without an address.
func (cs *Connections) networkOf(conn net.Conn) string {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || cs.proxies.trusts(at.Addr().Unmap()) {
		return ""
	}
	return limit.NetworkOf(at.Addr().Unmap())
}

// queue puts a connection that waits for a request at the end of the queues, or
// takes one that has a request out of them.
func (cs *Connections) queue(held *connection) {
	waiting, here := &cs.waiting, (*list.List)(nil)
	if held.reserved {
		waiting = &cs.silent
	} else if n := cs.networks[held.network]; n != nil {
		here = &n.waiting
	}
	if held.place != nil {
		waiting.Remove(held.place)
		held.place = nil
	}
	if held.placed != nil {
		here.Remove(held.placed)
		held.placed = nil
	}
	if held.state != http.StateNew && held.state != http.StateIdle {
		return
	}
	held.place = waiting.PushBack(held)
	if here != nil {
		held.placed = here.PushBack(held)
	}
}

func first(l *list.List) *connection {
	if e := l.Front(); e != nil {
		return e.Value.(*connection)
	}
	return nil
}

// remove stops counting a connection, once.
func (cs *Connections) remove(held *connection) {
	if _, ok := cs.open[held]; !ok {
		return
	}
	held.state = http.StateClosed
	cs.queue(held)
	delete(cs.open, held)
	cs.count(held, -1)
}

// observe handles the server's changes of a connection's state.
func (cs *Connections) observe(c net.Conn, state http.ConnState) {
	held := heldBy(c)
	if held == nil {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, ok := cs.open[held]; ok && state != http.StateNew {
		held.state, held.since = state, time.Now()
		cs.queue(held)
	}
}

// heldBy returns the connection below TLS.
func heldBy(c net.Conn) *connection {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = over.NetConn()
	}
	held, _ := c.(*connection)
	return held
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.remove(c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets the server end a response before it closes a connection from which
// it has not read everything.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

type reservedKey struct{}

// handler refuses requests on a reserved connection, except callbacks and health
// checks, and lets the connection end with the response.
func (cs *Connections) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(reservedKey{}) == nil {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		switch {
		case r.URL.Path == PathHealth, r.URL.Path == PathReady, strings.HasPrefix(r.URL.Path, endpoint.PathCallback):
			next.ServeHTTP(w, r)
			return
		}
		cs.mu.Lock()
		cs.refused++
		cs.mu.Unlock()
		w.Header().Set("Retry-After", "5")
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "too many connections; try again in a few seconds", http.StatusServiceUnavailable)
	})
}

// cutOff closes what is below all connections, also below those that handlers have taken
// over. Each counts until its handler has noticed, and closes it.
func (cs *Connections) cutOff() {
	cs.mu.Lock()
	all := slices.Collect(maps.Keys(cs.open))
	cs.mu.Unlock()
	for _, held := range all {
		held.Conn.Close()
	}
}

// closeSilent closes connections that have sent no request a second after they were
// accepted, until ctx ends. http.Server.Shutdown waits five seconds for each: browsers
// and proxies open them in advance.
func (cs *Connections) closeSilent(ctx context.Context) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		cs.mu.Lock()
		var silent []*connection
		for held := range cs.open {
			if held.state == http.StateNew && time.Since(held.since) >= time.Second {
				silent = append(silent, held)
			}
		}
		cs.mu.Unlock()
		for _, held := range silent {
			held.Close()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
