// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Crash kills all processes of the server (kill -9), which have no time for anything, and
// waits until they have ended.
func (s *Server) Crash() error {
	children, err := s.children()
	if err != nil {
		return err
	}
	s.child.signal(syscall.SIGKILL)
	for _, pid := range children {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.child.ended
	for slices.ContainsFunc(children, running) { // a restart would find that they use its memory
		time.Sleep(time.Millisecond)
	}
	return nil
}

// children returns the processes that the server has started.
func (s *Server) children() (pids []int, err error) {
	all, err := exec.Command("ps", "-A", "-o", "ppid=", "-o", "pid=").Output()
	for line := range strings.Lines(string(all)) {
		var parent, pid int
		if n, _ := fmt.Sscan(line, &parent, &pid); n == 2 && parent == s.child.process.Pid {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// running reports whether a process runs: one that has ended may stay in the table, until
// its parent, which has ended too, is replaced.
func running(pid int) bool {
	state, _ := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output() // an error: there is none
	return len(state) > 0 && state[0] != 'Z'
}

// Backends returns the processes that serve a database's clients.
func (s *Server) Backends(ctx context.Context, database string) (pids []int, err error) {
	rows, err := s.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = $1 AND pid <> pg_backend_pid()", database)
	for _, row := range rows {
		pid, _ := strconv.Atoi(row[0])
		pids = append(pids, pid)
	}
	return pids, err
}

// Terminate ends a backend as an administrator does.
func (s *Server) Terminate(ctx context.Context, backend int) error {
	_, err := s.Query(ctx, "SELECT pg_terminate_backend($1)", backend)
	return err
}

// KillBackend kills a backend (kill -9). The server then ends all others, and recovers as
// after a crash; KillBackend returns when it accepts connections again.
func (s *Server) KillBackend(ctx context.Context, backend int) error {
	before := len(s.Log())
	if err := syscall.Kill(backend, syscall.SIGKILL); err != nil {
		return err
	}
	return s.until(ctx, func(ctx context.Context) error {
		if !strings.Contains(s.Log()[before:], "all server processes terminated") {
			return errors.New("the server has not noticed yet that a backend was killed")
		}
		return s.answers(ctx)
	})
}
