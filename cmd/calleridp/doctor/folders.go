// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"calleridp/cmd/calleridp/config"
)

// folders returns the directories in which the server makes files.
func (e *examination) folders() []file {
	all := []file{{key: "data_dir", path: e.s.DataDir, secret: true, optional: true, folder: true}}
	if e.s.Audit.Goes(config.AuditFile) {
		all = append(all, file{key: "audit.dir", path: e.s.Audit.Dir, secret: true, optional: true, folder: true})
	}
	if e.s.Backup.Every != 0 { // backups are encrypted: others may see that they exist
		all = append(all, file{key: "backup.dir", path: e.s.Backup.Dir, optional: true, folder: true})
	}
	if e.s.TLS.ACME.On() {
		all = append(all, file{key: "tls.acme", path: e.s.ACMEDir(), secret: true, optional: true, folder: true})
	}
	return all
}

// looked is how many files of a folder are looked at, at most.
const looked = 10_000

// unusable returns why the server, as uid, cannot make and change files in a folder, and what to
// do; "" if nothing is known against it. uid is -1 if that is not known.
func (f file) unusable(uid int) (found, fix string) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.unmakable(uid)
	}
	if err != nil || !info.IsDir() {
		return f.path + " is not a directory", "move it away, or name another one in " + f.key
	}
	if uid <= 0 {
		return "", ""
	}
	if !writableBy(info, uid) {
		return fmt.Sprintf("the server runs as %s and cannot make files in %s (mode %04o)", userName(uid), f.path, info.Mode().Perm()),
			fmt.Sprintf("chown %s %s && chmod u+rwx %s", userName(uid), f.path, f.path)
	}
	// A command that root has run may have left files of root there.
	foreign, n := "", 0
	_ = filepath.WalkDir(f.path, func(path string, d fs.DirEntry, err error) error {
		if n++; err != nil || n > looked {
			return fs.SkipAll
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			if owner, known := ownerOf(info); known && owner != uid {
				foreign = path
				return fs.SkipAll
			}
		}
		return nil
	})
	if foreign != "" {
		return fmt.Sprintf("%s does not belong to %s, as whom the server runs", foreign, userName(uid)),
			fmt.Sprintf("chown -R %s %s", userName(uid), f.path)
	}
	return "", ""
}

// unmakable is unusable of a folder that is missing: the server makes it at its start.
func (f file) unmakable(uid int) (found, fix string) {
	parent := existing(f.path)
	info, err := os.Stat(parent)
	switch {
	case err != nil:
		return fmt.Sprintf("%s cannot be looked at (%v)", parent, err), "run doctor as the server's user"
	case !info.IsDir():
		return fmt.Sprintf("%s is missing and cannot be made, because %s is not a directory", f.path, parent), "name another directory in " + f.key
	case uid > 0 && !writableBy(info, uid):
		return fmt.Sprintf("%s is missing, and the server runs as %s and cannot make it in %s", f.path, userName(uid), parent),
			fmt.Sprintf("install -d -o %s -m 700 %s", userName(uid), f.path)
	}
	return "", ""
}

// existing returns the longest part of a path that exists.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
			return path
		}
		path = filepath.Dir(path)
	}
}

// writableBy reports whether a user may make files in a directory, as far as its mode says. The
// groups of another user are not known: where the group may, the user is taken to be in it.
func writableBy(info fs.FileInfo, uid int) bool {
	mode := info.Mode().Perm()
	owner, known := ownerOf(info)
	if !known || owner == uid {
		return !known || mode&0o300 == 0o300
	}
	return mode&0o030 == 0o030 || mode&0o003 == 0o003
}

// Room that the store needs.
const (
	leastRoom = 64 << 20 // less is a failure
	someRoom  = 1 << 30  // less is a warning
)

// space is a directory with the bytes that it needs.
type space struct {
	dir         string
	least, some uint64 // fewer free bytes are a failure, and a warning
	full        string // what a full disk does, and what to do
}

// spaces returns what needs room: data_dir, and the folders that are not in it.
func (e *examination) spaces() []space {
	data := space{e.s.DataDir, leastRoom, someRoom, "make room, or move data_dir to a larger disk; a full disk fails every sign-in"}
	if e.s.Postgres != nil { // it has hardly anything
		data.least, data.some = 1<<20, 16<<20
	}
	all := []space{data}
	elsewhere := func(dir string) bool {
		within, err := filepath.Rel(e.s.DataDir, dir)
		return err != nil || !filepath.IsLocal(within)
	}
	if e.s.Audit.Goes(config.AuditFile) && elsewhere(e.s.Audit.Dir) {
		all = append(all, space{e.s.Audit.Dir, leastRoom, someRoom,
			"make room, move audit.dir to a larger disk, or keep less (audit.keep); without its line in the audit, no operator's change happens"})
	}
	if e.s.Backup.Every != 0 && elsewhere(e.s.Backup.Dir) {
		store := uint64(leastRoom)
		if info, err := os.Stat(e.s.StoreFile()); err == nil {
			store = max(store, uint64(info.Size()))
		}
		all = append(all, space{e.s.Backup.Dir, store, 3 * store,
			"make room, move backup.dir to a larger disk, or keep fewer (backup.keep); the next backup has no room"})
	}
	return all
}

// disk checks the room on the disks.
func (e *examination) disk() {
	for _, s := range e.spaces() {
		free, all, freeFiles, allFiles, err := room(existing(s.dir))
		if err != nil {
			e.add("disk", NotChecked, fmt.Sprintf("the room in %s is not known (%v)", s.dir, err), "")
			continue
		}
		e.results = append(e.results, s.judge(free, all, freeFiles, allFiles))
	}
}

// judge says whether there is enough room.
func (s space) judge(free, all, freeFiles, allFiles uint64) Result {
	found := fmt.Sprintf("%s has %s free of %s", s.dir, size(free), size(all))
	switch {
	case allFiles > 0 && freeFiles < 16:
		return Result{"disk", Failed, fmt.Sprintf("%s has room for %d more files", s.dir, freeFiles), s.full}
	case free < s.least:
		return Result{"disk", Failed, found, s.full}
	case free < s.some:
		return Result{"disk", Warning, found, s.full}
	}
	return Result{"disk", OK, found, ""}
}

// size returns a number of bytes for people.
func size(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
