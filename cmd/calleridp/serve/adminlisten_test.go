// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/selfsigned"
)

// An attacker who reaches admin_listen holds as many connections as they can. One network has
// some of them, and all have no more than operators need: the files of the process, and the
// connections of users, stay.
func TestThreat_ConnectionsOfOperatorsAreBounded(t *testing.T) {
	begun, hold := make(chan struct{}), make(chan struct{})
	held := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- struct{}{}
			<-hold
		}
	})
	public := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	p := &Program{
		Public: public, Admin: held, Connections: NewConnections(1, 1, ClientAddresses{}),
		Store: stepStore{steps: &steps{}}, Drain: func() {}, LastLines: func() {},
	}
	var s config.Settings
	dir := t.TempDir()
	s.AdminSocket = filepath.Join(dir, "admin.sock")
	s.AdminTLS = config.AdminTLS{CertFile: filepath.Join(dir, "a.crt"), KeyFile: filepath.Join(dir, "a.key")}
	if err := selfsigned.Write(s.AdminTLS.CertFile, s.AdminTLS.KeyFile, "localhost"); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.AdminListen = free.Addr().String()
	free.Close()

	var open []net.Conn
	// send requests a path on a new connection from a network of the loopback.
	send := func(network int, path string) net.Conn {
		t.Helper()
		from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(network))}}
		conn, err := tls.DialWithDialer(from, "tcp", s.AdminListen, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	wants := func(what string, network, status int) {
		t.Helper()
		response, err := http.ReadResponse(bufio.NewReader(send(network, "/")), nil)
		if err != nil || response.StatusCode != status {
			t.Errorf("%s: got %v, %v, want %d", what, response, err, status)
		}
	}
	listening := make(chan net.Conn)
	web := pipeListener{listening, make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		ended <- p.Run(ctx, s, web, nil, slog.New(slog.DiscardHandler), func() { close(ready) })
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	for network := 1; network <= operatorConnections/operatorsPerNetwork; network++ {
		wants("a network before", network+100, http.StatusOK)
		for range operatorsPerNetwork {
			send(network, "/slow")
			<-begun
		}
		wants("one more of a network", network, http.StatusServiceUnavailable)
	}
	wants("one more of all", 200, http.StatusServiceUnavailable)
	ours, theirs := net.Pipe()
	listening <- theirs
	go io.WriteString(ours, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if response, err := http.ReadResponse(bufio.NewReader(ours), nil); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("a user meanwhile: got %v, %v, want 200", response, err)
	}
	ours.Close()
	close(hold)
	for _, conn := range open {
		conn.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
