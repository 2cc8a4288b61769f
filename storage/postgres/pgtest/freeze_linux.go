// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Freeze stops the server's processes where they are: it accepts connections, as the
// kernel does, and answers nothing. Thaw lets them go on.
func (s *Server) Freeze() error { return s.signalAll(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() error { return s.signalAll(syscall.SIGCONT) }

// signalAll sends a signal to the server's first process, which starts no more of them
// then, and to its children.
func (s *Server) signalAll(signal syscall.Signal) error {
	parent := s.child.process.Pid
	if err := syscall.Kill(parent, signal); err != nil {
		return err
	}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, path := range all {
		stat, err := os.ReadFile(path) // PID (NAME) STATE PARENT
		if err != nil {
			continue // it has ended
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 || string(fields[1]) != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return err
		}
		syscall.Kill(pid, signal)
	}
	return nil
}
