// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// nameTime is the time in the name of a file: when it was begun.
const nameTime = "20060102T150405.000Z"

// fileName matches the names of files: audit-SERVER-TIME-SEQ.jsonl, with the number of the
// first line.
var fileName = regexp.MustCompile(`^audit-([A-Za-z0-9._-]+)-([0-9]{8}T[0-9]{6}\.[0-9]{3}Z)-([0-9]{12,20})\.jsonl$`)

var serverName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// CheckName returns an error for a name that a server cannot have.
func CheckName(server string) error {
	if !serverName.MatchString(server) {
		return fmt.Errorf("%q is not the name of a server: at most 63 letters, digits, '.', '_' and '-', with a letter or digit at both ends", server)
	}
	return nil
}

// file is one of a chain, as its name describes it.
type file struct {
	name   string
	server string
	first  uint64    // the number of its first line
	begun  time.Time // at most a millisecond before or after it was
}

func newName(server string, begun time.Time, first uint64) string {
	return fmt.Sprintf("audit-%s-%s-%012d.jsonl", server, begun.UTC().Format(nameTime), first)
}

// parseName returns what a name says; false for a file that is none of ours.
func parseName(name string) (file, bool) {
	m := fileName.FindStringSubmatch(name)
	if m == nil {
		return file{}, false
	}
	begun, err := time.Parse(nameTime, m[2])
	first, err2 := strconv.ParseUint(m[3], 10, 64)
	if err != nil || err2 != nil || newName(m[1], begun, first) != name {
		return file{}, false
	}
	return file{name, m[1], first, begun}, true
}

// list returns the files of all chains in a folder, each chain in its order.
func list(dir string) (map[string][]file, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	chains := map[string][]file{}
	for _, e := range entries {
		if f, ok := parseName(e.Name()); ok {
			chains[f.server] = append(chains[f.server], f)
		}
	}
	for _, files := range chains {
		slices.SortFunc(files, func(a, b file) int {
			return cmp.Or(cmp.Compare(a.first, b.first), a.begun.Compare(b.begun))
		})
	}
	return chains, nil
}

// scanner reads the lines of a file.
type scanner struct {
	r     *bufio.Reader
	at    int64 // the offset of the line
	next  int64 // of the one after it
	text  []byte
	whole bool // it has an end
	long  bool // it has none, because it is too long to be a line
	err   error
}

func newScanner(r io.Reader) *scanner { return &scanner{r: bufio.NewReaderSize(r, maxLine+2)} }

// scan goes on to the next line, and reports whether there is one. A line that is too long
// comes in pieces, none of which is genuine.
func (s *scanner) scan() bool {
	s.at = s.next
	text, err := s.r.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
		s.err = err
		return false
	}
	s.next += int64(len(text))
	s.whole, s.long = err == nil, errors.Is(err, bufio.ErrBufferFull)
	s.text = text
	if s.whole {
		s.text = text[:len(text)-1]
	}
	return len(text) > 0
}

func path(dir string, f file) string { return filepath.Join(dir, f.name) }
