// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ownIt is what to do about a file or directory that only another user may write.
const ownIt = "; run this as the server's user, and make that user its owner"

// StoreFile returns the path of the store.
func (s Settings) StoreFile() string { return filepath.Join(s.DataDir, "calleridp.db") }

// checkWritable refuses what the user of this process cannot write, and the server
// must. It leaves nothing behind.
func (s Settings) checkWritable() []KeyError {
	var invalid []KeyError
	refuse := func(key, reason string) {
		if reason != "" {
			invalid = append(invalid, KeyError{Key: key, Reason: reason})
		}
	}
	refuse("data_dir", unwritable(s.DataDir))
	if dir := filepath.Dir(s.AdminSocket); filepath.Clean(s.DataDir) != dir {
		refuse("admin_socket", unwritable(dir))
	}
	if len(invalid) == 0 { // it is in data_dir, unless it was moved
		refuse("audit.dir", s.checkAuditWritable())
	}
	if s.Postgres != nil {
		return invalid
	}
	if s.Backup.Every != 0 {
		refuse("backup.dir", unwritable(s.Backup.Dir))
	}
	if file, err := os.OpenFile(s.StoreFile(), os.O_RDWR, 0); err == nil {
		file.Close()
	} else if len(invalid) == 0 && !errors.Is(err, fs.ErrNotExist) {
		refuse("data_dir", fmt.Sprintf("%s cannot be written (%v)%s", s.StoreFile(), cause(err), ownIt))
	}
	return invalid
}

// unwritable returns why no file can be made in a directory, "" if one can. If the
// directory is missing, the one in which it would be made counts.
func unwritable(dir string) (reason string) {
	wanted := dir
	for {
		info, err := os.Stat(dir)
		switch parent := filepath.Dir(dir); {
		case errors.Is(err, fs.ErrNotExist) && parent != dir:
			dir = parent
			continue
		case err == nil && !info.IsDir():
			return dir + " is not a directory"
		case err != nil:
			return fmt.Sprintf("%s cannot be reached (%v)", dir, cause(err))
		}
		break
	}
	file, err := os.CreateTemp(dir, ".calleridp-check-*")
	switch {
	case err != nil && dir != wanted: // which may belong to another user, and should
		return fmt.Sprintf("%s does not exist and cannot be created in %s (%v); create it, for the server's user alone: install -d -m 700 -o USER %[1]s", wanted, dir, cause(err))
	case err != nil:
		return fmt.Sprintf("%s cannot be written (%v)%s", dir, cause(err), ownIt)
	}
	file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return fmt.Sprintf("%s cannot be written (%v)%s", dir, cause(err), ownIt)
	}
	return ""
}

// cause returns what the system says, without the path.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
