// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// CPU returns the CPU time that all processes of the server have used since it was
// started. It needs Linux.
func (s *Server) CPU() (time.Duration, error) {
	line, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(line), "\n")
	own, err := processOf(first)
	if err != nil {
		return 0, err
	}
	ticks := own.ticks + own.ended
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range all {
		p, err := processOf(filepath.Base(dir))
		if errors.Is(err, os.ErrNotExist) || err == nil && p.parent != first {
			continue // it has ended since, or is another's
		}
		if err == nil {
			ticks += p.ticks
		}
	}
	const perSecond = 100 // on Linux
	return time.Duration(ticks) * time.Second / perSecond, nil
}

// process is what Linux tells of a process.
type process struct {
	parent       string
	ticks, ended int64 // of CPU: its own, and of its children that have ended
}

func processOf(pid string) (process, error) {
	raw, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return process{}, err
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return process{}, fmt.Errorf("pgtest: /proc/%s/stat: %q", pid, raw)
	}
	p := process{parent: fields[1]}
	for i, into := range []*int64{&p.ticks, &p.ticks, &p.ended, &p.ended} { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(fields[11+i], 10, 64)
		if err != nil {
			return process{}, fmt.Errorf("pgtest: /proc/%s/stat: %q", pid, raw)
		}
		*into += n
	}
	return p, nil
}
