// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"calleridp/durable"
)

// ErrNoMaster means that the master key's file does not exist.
var ErrNoMaster = errors.New("no master key")

// ParseMaster parses a master key: 32 bytes in base64 (either alphabet, padded or
// not) or hexadecimal. White space around it is ignored, and a byte order mark before it.
func ParseMaster(text string) (*Master, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if len(text) == hex.EncodedLen(MasterSize) {
		if secret, err := hex.DecodeString(text); err == nil {
			return NewMaster(secret)
		}
	}
	unpadded := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	secret, err := base64.RawURLEncoding.DecodeString(unpadded)
	if err != nil {
		return nil, errors.New("master key: must be base64 or hexadecimal")
	}
	return NewMaster(secret)
}

// LoadMaster reads the master key from a file. A missing file is ErrNoMaster; it
// is never created implicitly.
func LoadMaster(path string) (*Master, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w at %s", ErrNoMaster, path)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	m, err := ParseMaster(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// CreateMaster writes a new master key to a file that only the owner can read. The
// file must not exist yet.
func CreateMaster(path string) error {
	err := durable.WriteFile(path, func(w io.Writer) error {
		secret := make([]byte, MasterSize)
		rand.Read(secret)
		_, err := fmt.Fprintln(w, base64.StdEncoding.EncodeToString(secret))
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("master key: %s exists and is not overwritten, because a store may be sealed under it", path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("master key: there is no folder %s; create it first", filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	return nil
}
