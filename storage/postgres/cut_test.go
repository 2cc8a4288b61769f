package postgres

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
)

// cutter breaks the connection of the next commit. It needs Options.Pooler: with
// prepared statements, a commit cannot be told from other messages.
type cutter struct {
	mu    sync.Mutex
	armed bool
	late  bool // the server has committed, and its answer is lost; else it never hears of it
}

func (c *cutter) arm(late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed, c.late = true, late
}

func (c *cutter) take() (cut, late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cut, c.armed = c.armed, false
	return cut, c.late
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return cutConn{conn, c}, err
}

type cutConn struct {
	net.Conn
	cutter *cutter
}

var errCut = errors.New("the connection was cut")

func (c cutConn) Write(p []byte) (int, error) {
	if !bytes.Contains(p, []byte("COMMIT\x00")) {
		return c.Conn.Write(p)
	}
	cut, late := c.cutter.take()
	if !cut {
		return c.Conn.Write(p)
	}
	defer c.Conn.Close()
	if late {
		c.Conn.Write(p)
		c.Conn.Read(make([]byte, 1)) // the server answers to the whole batch at once
	}
	return 0, errCut
}
