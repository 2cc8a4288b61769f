// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lifecycle

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"calleridp/test/harness"
)

// manager is the part of systemd that a service sees.
type manager struct {
	t        *testing.T
	messages chan string
	address  string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	address := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m := &manager{t, make(chan string, 1<<16), address}
	go func() { // always: a service that tells something waits until it is read
		buffer := make([]byte, 4<<10)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			m.messages <- string(buffer[:n])
		}
	}()
	return m
}

// hears returns the next message that has this text.
func (m *manager) hears(text string) string {
	m.t.Helper()
	late := time.After(harness.Timeout)
	for {
		select {
		case message := <-m.messages:
			if strings.Contains(message, text) {
				return message
			}
		case <-late:
			m.t.Fatalf("no message with %s", text)
		}
	}
}

// start runs the server with these sockets, by name, as systemd does. It returns the process,
// and what it has written to standard error by its end.
func (m *manager) start(file string, names []string, sockets []*os.File) (*exec.Cmd, *output) {
	m.t.Helper()
	// The shell becomes the server, so that the number of the process is right.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" serve --config "$1"`, harness.Binary(m.t), file)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.address, "WATCHDOG_USEC=200000",
		fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	cmd.ExtraFiles = sockets
	log := &output{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, log
}

// output is what a process writes, which may be read meanwhile.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func fileOf(t *testing.T, l interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// systemd opens the sockets, hears when the server is ready, reloads and stops, and that it
// works. Requests that arrive before the server runs wait in the socket.
func TestSystemd(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	server.Stop(os.Interrupt)
	m := newManager(t)
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	admin, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	sockets := []*os.File{fileOf(t, public.(*net.TCPListener)), fileOf(t, admin.(*net.UnixListener))}
	names := []string{"public", "admin"}

	// systemd's own mode of a socket would make everybody an operator.
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd, log := m.start(server.File(), names, sockets)
	if err := cmd.Wait(); err == nil || !strings.Contains(log.String(), "every user of this machine can use "+socket) {
		t.Errorf("an admin socket for everybody: got %v, %s", err, log)
	}
	cmd, log = m.start(server.File(), []string{"public", "calleridp.socket"}, sockets)
	if err := cmd.Wait(); err == nil || !strings.Contains(log.String(), `"calleridp.socket" is unknown; give each socket unit FileDescriptorName=`) {
		t.Errorf("a socket of an unknown name: got %v, %s", err, log)
	}

	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	early := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + public.Addr().String() + "/healthz")
		if err == nil {
			response.Body.Close()
		}
		early <- err
	}()
	cmd, log = m.start(server.File(), names, sockets)
	m.hears("READY=1")
	if err := <-early; err != nil {
		t.Errorf("a request from before the start: %v", err)
	}
	if out, err := exec.Command(harness.Binary(t), "keys", "list", "--socket", socket).CombinedOutput(); err != nil {
		t.Errorf("the admin socket of systemd: %v\n%s", err, out)
	}
	m.hears("WATCHDOG=1")
	m.hears("WATCHDOG=1")

	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	var usec uint64
	message := m.hears("RELOADING=1")
	if _, err := fmt.Sscanf(message, "RELOADING=1\nMONOTONIC_USEC=%d", &usec); err != nil || usec == 0 {
		t.Errorf("got %q, want RELOADING=1 and MONOTONIC_USEC", message)
	}
	m.hears("READY=1")

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.hears("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v\n%s", err, log)
	}
	if _, err := os.Stat(socket); err != nil {
		t.Errorf("the socket of systemd is gone: %v", err)
	}
}
