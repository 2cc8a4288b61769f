// SPDX-License-Identifier: Apache-2.0

// Package backup makes, keeps and reads backups of the embedded store.
//
//	backup.go    what a backup is
//	seal.go      its encryption
//	folder.go    the folder of backups: names, writing, which are kept
//	schedule.go  making them by themselves
//	restored.go  what a restore leaves out
//	space_*.go   how much room a file system has
//
// A backup is a copy of the store's file as one transaction saw it, in the format of age
// (filippo.io/age, age-encryption.org/v1): chunks of 64 KiB, each authenticated with its
// place, of which none can be changed, left out or cut off. The key of a backup is random,
// and sealed under the master key in its header. So whoever keeps backups needs no secret
// and can read nothing, whoever restores one needs what the store needs anyway, and nobody
// without the master key can make one that opens.
//
// The encrypted content is a line of JSON (Header), the file, and its SHA-256.
package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"calleridp/keys"

	"filippo.io/age"
)

// Format is the version of the encrypted content that this program writes, and the newest
// that it reads.
const Format = 1

// maxHeader is how long the line of the header may be in bytes.
const maxHeader = 4 << 10

// Header says what a backup is of.
type Header struct {
	Format  int       `json:"format"`
	Schema  int       `json:"schema"`  // of the store
	Issuer  string    `json:"issuer"`  // to which the store belongs
	Taken   time.Time `json:"taken"`   // when the transaction began
	Bytes   int64     `json:"bytes"`   // size of the store's file
	Program string    `json:"program"` // version that made it
}

// Errors of Open and of the content that it returns. Those that wrap them say what to do.
var (
	ErrNoBackup = errors.New("backup: the file is not a backup of calleridp")
	ErrOtherKey = errors.New("backup: it was made under another master key")
	ErrNewer    = errors.New("backup: it was made by a newer version of calleridp")
	ErrDamaged  = errors.New("backup: it is damaged or cut off")
)

// Writer encrypts a backup.
type Writer struct {
	out  io.WriteCloser
	sum  hash.Hash
	left int64
}

// NewWriter begins a backup in w. The caller writes h.Bytes bytes and closes it.
func NewWriter(w io.Writer, master *keys.Master, h Header) (*Writer, error) {
	h.Format = Format
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if len(line) >= maxHeader {
		return nil, fmt.Errorf("backup: the header has %d bytes, at most %d are allowed", len(line), maxHeader-1)
	}
	out, err := age.Encrypt(w, sealed{master})
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	return &Writer{out: out, sum: sha256.New(), left: h.Bytes}, nil
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	w.sum.Write(p[:n])
	w.left -= int64(n)
	return n, err
}

// Digest returns the SHA-256 of what was written.
func (w *Writer) Digest() (digest [sha256.Size]byte) {
	w.sum.Sum(digest[:0])
	return digest
}

// Close ends the backup. Without it, the backup counts as cut off.
func (w *Writer) Close() error {
	if w.left != 0 {
		return fmt.Errorf("backup: %d bytes of the announced size are missing", w.left)
	}
	digest := w.Digest()
	if _, err := w.out.Write(digest[:]); err != nil {
		return err
	}
	return w.out.Close()
}

// Reader decrypts a backup.
type Reader struct {
	Header Header
	in     *bufio.Reader
	sum    hash.Hash
	left   int64
	digest [sha256.Size]byte
	ended  bool
}

// Open begins to read a backup. What it returns reads the file of the store; it is the
// whole file, unchanged, if reading ends with io.EOF, and worth nothing before.
func Open(r io.Reader, master *keys.Master) (*Reader, error) {
	plain, err := age.Decrypt(r, sealed{master})
	if err != nil {
		return nil, opened(err)
	}
	b := &Reader{in: bufio.NewReaderSize(plain, 64<<10), sum: sha256.New()}
	line, err := b.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), errors.Is(err, io.EOF), err == nil && len(line) > maxHeader:
		return nil, fmt.Errorf("%w (it has no header)", ErrNoBackup)
	case err != nil: // the key opened, so it was a backup
		return nil, fmt.Errorf("%w (%v)", ErrDamaged, err)
	}
	if err := json.Unmarshal(bytes.TrimSpace(line), &b.Header); err != nil || b.Header.Format < 1 || b.Header.Bytes < 0 {
		return nil, fmt.Errorf("%w (its header cannot be read)", ErrNoBackup)
	}
	if b.Header.Format > Format {
		return nil, fmt.Errorf("%w (format %d by calleridp %s, this version knows up to %d); use that version",
			ErrNewer, b.Header.Format, b.Header.Program, Format)
	}
	b.left = b.Header.Bytes
	return b, nil
}

// opened returns what an error of age means.
func opened(err error) error {
	switch {
	case errors.Is(err, ErrOtherKey), errors.Is(err, ErrDamaged):
		return err
	case errors.Is(err, errNoStanza):
		return fmt.Errorf("%w (it was encrypted in another way)", ErrNoBackup)
	}
	return fmt.Errorf("%w (%v)", ErrNoBackup, err)
}

// Read implements io.Reader.
func (b *Reader) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.end()
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.sum.Write(p[:n])
	b.left -= int64(n)
	if err != nil {
		err = fmt.Errorf("%w (%v)", ErrDamaged, err)
	}
	return n, err
}

// end returns io.EOF if nothing is missing, changed or added.
func (b *Reader) end() error {
	if b.ended {
		return io.EOF
	}
	if _, err := io.ReadFull(b.in, b.digest[:]); err != nil {
		return fmt.Errorf("%w (%v)", ErrDamaged, err)
	}
	if _, err := b.in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w (there is more behind its end: %v)", ErrDamaged, err)
	}
	if sum := b.sum.Sum(nil); !bytes.Equal(sum, b.digest[:]) {
		return fmt.Errorf("%w (its digest is %x, not %x)", ErrDamaged, sum[:8], b.digest[:8])
	}
	b.ended = true
	return io.EOF
}

// Digest returns the SHA-256 of the store's file, after the end was read.
func (b *Reader) Digest() [sha256.Size]byte { return b.digest }
