// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// Cut says where a Proxy cuts a connection.
type Cut int

// The places, around a COMMIT.
const (
	BeforeCommit Cut = iota // the server never hears of it
	AfterCommit             // the server has got it, and may still be at it
	BeforeAnswer            // the server has answered, and its client never hears of it
)

// Proxy is a way to a server, by TCP on the loopback, that breaks on request.
type Proxy struct {
	listener net.Listener

	mu     sync.Mutex
	socket string // of the server
	cuts   []Cut  // of the next commits
	held   chan struct{}
	links  map[*link]struct{}
}

// NewProxy starts a proxy. Until To is called, it leads nowhere.
func NewProxy() (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, links: map[*link]struct{}{}}
	go p.serve()
	return p, nil
}

// Port returns the port on which the proxy listens.
func (p *Proxy) Port() string { return strconv.Itoa(p.listener.Addr().(*net.TCPAddr).Port) }

// DSN returns the connection string of a database, through the proxy.
func (p *Proxy) DSN(database string) string {
	return "host=127.0.0.1 port=" + p.Port() + " user=calleridp dbname=" + database + " sslmode=disable"
}

// To makes new connections lead to a server.
func (p *Proxy) To(s *Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.socket = filepath.Join(s.dir, ".s.PGSQL.5432")
}

// CutCommits cuts the connections of the next commits, each in its place.
func (p *Proxy) CutCommits(cuts ...Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts = append(p.cuts, cuts...)
}

// Uncut returns how many of these commits have not come yet.
func (p *Proxy) Uncut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.cuts)
}

// Hold keeps all bytes in both directions back, until release is called.
func (p *Proxy) Hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	p.held = held
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(held)
		p.held = nil
	})
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.listener.Close()
	p.Break()
}

// Break cuts all connections that there are.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.connect(client)
	}
}

func (p *Proxy) connect(client net.Conn) {
	p.pass()
	p.mu.Lock()
	socket := p.socket
	p.mu.Unlock()
	server, err := net.Dial("unix", socket)
	if err != nil {
		client.Close()
		return
	}
	l := &link{proxy: p, client: client, server: server}
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	go l.answers()
	l.requests()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pass waits while bytes are held back.
func (p *Proxy) pass() {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held != nil {
		<-held
	}
}

// next returns where to cut the commit that has come.
func (p *Proxy) next() (cut Cut, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.cuts) == 0 {
		return 0, false
	}
	cut, p.cuts = p.cuts[0], p.cuts[1:]
	return cut, true
}

// link is one connection.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	deaf           atomic.Bool // the next answer is not passed on, and the link is cut
}

func (l *link) cut() {
	l.client.Close()
	l.server.Close()
}

// answers passes on what the server sends.
func (l *link) answers() {
	defer l.cut()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buffer)
		l.proxy.pass()
		if l.deaf.Load() {
			return
		}
		if _, failed := l.client.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// requests passes on what the client sends, message by message, to see the commits.
func (l *link) requests() {
	defer l.cut()
	in := bufio.NewReaderSize(l.client, 64<<10)
	out := bufio.NewWriterSize(l.server, 64<<10)
	if copyMessage(out, in, 0) != nil { // the first one has no type
		return
	}
	var commits statements
	cut, cutting := Cut(0), false
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		l.proxy.pass()
		head, err := in.Peek(5)
		if err != nil {
			return
		}
		kind := head[0]
		body, err := in.Peek(min(1+int(binary.BigEndian.Uint32(head[1:])), in.Size()))
		if err != nil {
			return
		}
		if commits.sees(kind, body[5:]) {
			if cut, cutting = l.proxy.next(); cutting && cut == BeforeCommit {
				return
			}
		}
		ends := cutting && (kind == 'S' || kind == 'Q')
		if ends && cut == BeforeAnswer {
			l.deaf.Store(true)
		}
		if copyMessage(out, in, 1) != nil {
			return
		}
		if ends {
			if out.Flush() == nil && cut == BeforeAnswer {
				io.Copy(io.Discard, in) // until answers cuts
			}
			return
		}
	}
}

// copyMessage copies a message whose length begins at an offset.
func copyMessage(to io.Writer, from *bufio.Reader, offset int) error {
	head, err := from.Peek(offset + 4)
	if err != nil {
		return err
	}
	_, err = io.CopyN(to, from, int64(offset)+int64(binary.BigEndian.Uint32(head[offset:])))
	return err
}

// statements are the prepared statements of a connection that commit.
type statements map[string]bool

// sees reports whether a message commits a transaction. body may be cut short.
func (s *statements) sees(kind byte, body []byte) bool {
	first, rest, _ := bytes.Cut(body, []byte{0})
	second, _, _ := bytes.Cut(rest, []byte{0})
	switch kind {
	case 'P': // Parse: statement, query
		if *s == nil {
			*s = statements{}
		}
		(*s)[string(first)] = isCommit(second)
	case 'B': // Bind: portal, statement
		return (*s)[string(second)]
	case 'Q': // Query
		return isCommit(first)
	}
	return false
}

func isCommit(sql []byte) bool { return bytes.EqualFold(bytes.TrimSpace(sql), []byte("commit")) }
