// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// file is a file or directory with what it must be.
type file struct {
	key, path string
	secret    bool // only the server's user and group may read it
	optional  bool // the running server creates it
	folder    bool // the server creates files in it
}

// files checks who may read and change what the server relies on.
func (e *examination) files() {
	all := append([]file{{key: "configuration", path: e.File}}, e.folders()...)
	if e.s.Postgres == nil {
		all = append(all, file{key: "store", path: e.s.StoreFile(), secret: true, optional: true})
	}
	all = append(all, file{key: "admin_socket", path: e.s.AdminSocket, secret: true, optional: true})
	for key, path := range e.s.SecretFiles() {
		all = append(all, file{key: key, path: path, secret: true})
	}
	uid := e.serverUser()
	good := 0
	for _, f := range all {
		if f.path == "" {
			continue
		}
		found, fix := f.problem(uid)
		if found == "" && f.folder {
			found, fix = f.unusable(uid)
		}
		if found == "" {
			good++
			continue
		}
		e.add("files", Failed, f.key+": "+found, fix)
	}
	// Only root can read what systemd gives the server as credentials.
	if uid >= 0 && uid != os.Getuid() && os.Getenv(credentials) == "" {
		e.add("files", Warning, fmt.Sprintf("doctor runs as %s, and the server as %s: what the server may do is partly guessed", userName(os.Getuid()), userName(uid)),
			fmt.Sprintf("run it as the server does: runuser -u %s -- calleridp doctor", userName(uid)))
	}
	if good == len(all) || good > 0 && !e.has("files", Failed) {
		e.add("files", OK, plural(good, "file")+" can be read and changed by the server's user alone, or read by its group", "")
	}
}

// has reports whether a check has this status.
func (e *examination) has(check string, status Status) bool {
	for _, r := range e.results {
		if r.Check == check && r.Status == status {
			return true
		}
	}
	return false
}

// serverUser returns the user that the server runs as: the owner of data_dir, or of the
// store in it; -1 if there is none yet or the system has no such users.
func (e *examination) serverUser() int {
	for _, path := range []string{e.s.StoreFile(), e.s.DataDir} {
		if info, err := os.Stat(path); err == nil {
			if uid, ok := ownerOf(info); ok {
				return uid
			}
		}
	}
	return -1
}

// problem returns what is wrong with a file, and what to do; "" if nothing is. uid is the
// server's user, -1 if that is not known.
func (f file) problem(uid int) (found, fix string) {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.optional:
		return "", ""
	case err != nil:
		return fmt.Sprintf("%s cannot be looked at (%v)", f.path, err), "run doctor as the server's user"
	}
	mode := info.Mode().Perm()
	chmod := "chmod 600 "
	if info.IsDir() {
		chmod = "chmod 700 "
	}
	owner, known := ownerOf(info)
	switch {
	case f.secret && mode&0o007 != 0:
		return fmt.Sprintf("every user of this machine may use %s (mode %04o)", f.path, mode), chmod + f.path
	case mode&0o002 != 0:
		return fmt.Sprintf("every user of this machine can change %s (mode %04o)", f.path, mode), "chmod o-w " + f.path
	case f.secret && mode&0o020 != 0:
		return fmt.Sprintf("its group can change %s (mode %04o)", f.path, mode), "chmod g-w " + f.path
	case known && uid >= 0 && owner != uid && owner != 0:
		return fmt.Sprintf("%s belongs to %s, who can change it, and the server runs as %s", f.path, userName(owner), userName(uid)),
			fmt.Sprintf("chown %s %s", userName(uid), f.path)
	case known && uid > 0 && owner == 0 && mode&0o044 == 0 && !isCredential(f.path):
		return fmt.Sprintf("%s belongs to root alone, and the server runs as %s", f.path, userName(uid)),
			fmt.Sprintf("chown %s %s", userName(uid), f.path)
	}
	// Who can change the directory can replace the file.
	dir := filepath.Dir(f.path)
	if at, err := os.Stat(dir); err == nil && at.Mode().Perm()&0o002 != 0 && at.Mode()&fs.ModeSticky == 0 {
		return fmt.Sprintf("every user of this machine can replace %s, because they can change %s", f.path, dir), "chmod o-w " + dir
	}
	return "", ""
}

// credentials is the variable with the folder of systemd's credentials (LoadCredential): in the
// unit, or where an operator runs a command as root, with the folder that they come from.
const credentials = "CREDENTIALS_DIRECTORY"

// isCredential reports whether the server gets a file from systemd, so that it may be root's.
func isCredential(path string) bool {
	folder := os.Getenv(credentials)
	return folder != "" && strings.HasPrefix(path, folder+"/")
}

// userName returns the name of a user, or their number.
func userName(uid int) string {
	text := strconv.Itoa(uid)
	if u, err := user.LookupId(text); err == nil {
		return u.Username
	}
	return text
}
