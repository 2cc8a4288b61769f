// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"calleridp/durable"

	"github.com/spf13/cobra"
)

// secretFile is the file that a new secret goes to, so that it need not pass the terminal.
// It is opened before the secret is made: a folder that cannot be written costs no secret.
type secretFile struct {
	path    string
	replace bool // the file may exist: a rotation writes the next secret
	temp    *os.File
}

// secretFlag adds the flag that names the file. usage says whether it may exist.
func secretFlag(c *cobra.Command, usage string) *string {
	return c.Flags().String("secret-file", "", "write the secret to this `file`, which only its owner can read, and print none; "+usage)
}

// openSecretFile prepares the file; "" is none, and every method of that does nothing.
func openSecretFile(path string, replace bool) (*secretFile, error) {
	f := &secretFile{path: path, replace: replace}
	if path == "" {
		return f, nil
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("--secret-file: %w", err)
	}
	f.path = absolute
	if _, err := os.Lstat(path); err == nil && !replace {
		return nil, fmt.Errorf("--secret-file: %s exists and is not overwritten; name another file", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--secret-file: %w", err)
	}
	f.temp, err = os.CreateTemp(filepath.Dir(absolute), ".calleridp-secret-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("--secret-file: %w", err)
	}
	return f, nil
}

// write writes a secret, and has the file appear whole.
func (f *secretFile) write(secret string) error {
	if f.temp == nil {
		return nil
	}
	_, err := f.temp.WriteString(secret) // without a newline, which oauth2-proxy would take for a part of it
	if err == nil {
		err = f.temp.Sync()
	}
	if err == nil && f.replace {
		err = durable.Rename(f.temp.Name(), f.path)
	} else if err == nil {
		err = durable.Link(f.temp.Name(), f.path) // fails if the file has appeared meanwhile
	}
	if err != nil {
		return fmt.Errorf("--secret-file: the secret was made and could not be written: %w; make another with calleridp client rotate-secret", err)
	}
	return nil
}

// close removes what is left over.
func (f *secretFile) close() {
	if f.temp != nil {
		f.temp.Close()
		os.Remove(f.temp.Name()) // after a rename it is gone
	}
}
