// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"calleridp/test/harness"
)

// smallDisk mounts a disk of so many megabytes. A machine that lets the test mount none
// has no disk to fill; storage/bolt has the same faults without one (TestDiskFull).
func smallDisk(t *testing.T, megabytes int) (dir string, ok bool) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", megabytes)); err != nil {
		if !errors.Is(err, syscall.EPERM) {
			t.Fatal(err)
		}
		t.Logf("this user may not mount a disk: %v", err)
		return "", false
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir, true
}

func ready(t *testing.T, server *harness.Production) int {
	t.Helper()
	response, err := http.Get(server.Issuer + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// fill takes all room on a disk, and returns how to give it back.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for block := make([]byte, size); ; {
			if _, err := file.Write(block); err != nil {
				if !errors.Is(err, syscall.ENOSPC) {
					t.Fatal(err)
				}
				break
			}
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// On a full disk, sign-ins fail with a page and the log says why; the server is not ready,
// and what needs no write goes on. With room again it serves by itself. No backup is begun
// that would fill the disk.
func TestFault_DiskFillsUp(t *testing.T) {
	t.Parallel()
	disk, ok := smallDisk(t, 48)
	if !ok {
		return
	}
	server := harness.ServeOn(t, filepath.Join(disk, "data"), approving(t), lenient)
	before := newUser(t, server, 5)
	before.signIn()
	sub := before.sub()
	free := fill(t, disk)
	// The file has free pages yet; a sign-in that needs more fails as a whole.
	harness.Eventually(t, "a sign-in fails", func() bool {
		b := harness.NewBrowser(t, server.Issuer)
		page := b.Submit(b.Get(server.AuthorizationURL()), harness.Number(15))
		if page.Status == http.StatusInternalServerError && !page.Has("error") {
			t.Errorf("a failed sign-in shows no error page (status %d)", page.Status)
		}
		return page.Status == http.StatusInternalServerError
	})
	server.Logged("a commit of the store failed; until one succeeds, the server is not ready", "no space left on device")
	if got := ready(t, server); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d on a full disk, want 503", got)
	}
	refused(t, server, "the disk has no room for it", "backup")
	if got := before.sub(); got != sub {
		t.Errorf("reading a user on a full disk: %s, want %s", got, sub)
	}
	// It also starts, and says what it cannot do when it has to do it.
	server.Stop(os.Kill)
	server.Start()
	free()
	harness.Eventually(t, "ready again", func() bool { return ready(t, server) == http.StatusOK })
	after := newUser(t, server, 25)
	after.signIn()
	if before.sub() != sub || !before.signedIn() {
		t.Error("a user from before is missing")
	}
	good(t, server, "backup")
	good(t, server, "backup", "verify")
}

// A server that runs while its disk is full gets ready again without a restart.
func TestFault_DiskHasRoomAgain(t *testing.T) {
	t.Parallel()
	disk, ok := smallDisk(t, 16)
	if !ok {
		return
	}
	server := harness.ServeOn(t, filepath.Join(disk, "data"), approving(t), lenient)
	free := fill(t, disk)
	harness.Eventually(t, "not ready", func() bool {
		b := harness.NewBrowser(t, server.Issuer)
		b.Submit(b.Get(server.AuthorizationURL()), harness.Number(15))
		return ready(t, server) == http.StatusServiceUnavailable
	})
	free()
	harness.Eventually(t, "ready again", func() bool { return ready(t, server) == http.StatusOK })
	server.Logged("commits of the store succeed again")
	newUser(t, server, 25).signIn()
}

// A read-only file system is refused at the start, in one line that names the file. With
// the file system writable, the server serves.
func TestFault_ReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	disk, ok := smallDisk(t, 64)
	if !ok {
		return
	}
	server := harness.ServeOn(t, filepath.Join(disk, "data"), approving(t), lenient)
	u := newUser(t, server, 5)
	u.signIn()
	server.Stop(os.Interrupt)
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	for _, words := range [][]string{{"serve"}, {"config", "check"}} {
		out, err := server.Command(words...)
		if err == nil || !strings.Contains(out, "read-only file system") || !strings.Contains(out, disk) || strings.Contains(out, "goroutine ") {
			t.Errorf("%v on a read-only file system: %v\n%s\nwant the file and the reason", words, err, out)
		}
	}
	remount(0)
	server.Start()
	if !u.signedIn() {
		t.Error("the session is gone")
	}
}

// Pages of the file that are overwritten under the running server end no process: what it
// cannot read or store is refused, and it is not ready. The next start refuses the file,
// and a backup brings the deployment back.
func TestFault_CorruptedPages(t *testing.T) {
	t.Parallel()
	server := harness.ServeWith(t, approving(t), lenient)
	u := newUser(t, server, 5)
	u.signIn()
	sub, file := u.sub(), backUp(t, server)
	store := filepath.Join(server.Dir, "data", "calleridp.db")
	f, err := os.OpenFile(store, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(2 * os.Getpagesize()); at < info.Size(); at += int64(os.Getpagesize()) {
		if _, err := f.WriteAt([]byte(strings.Repeat("damage! ", 64)), at); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	b := harness.NewBrowser(t, server.Issuer)
	page := b.Get(server.AuthorizationURL())
	if page.Has("phone") {
		page = b.Submit(page, harness.Number(15))
	}
	if page.Status != http.StatusInternalServerError || !page.Has("error") {
		t.Errorf("a sign-in with a damaged store: %d, want 500 and the page of an error", page.Status)
	}
	if got := ready(t, server); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d with a damaged store, want 503", got)
	}
	if response, err := http.Get(server.Issuer + "/healthz"); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the process does not respond any more: %v", err)
	}
	server.Logged("the store is damaged")
	server.Stop(os.Kill)
	refused(t, server, "restore the newest backup", "serve")
	if err := os.Rename(store, store+".damaged"); err != nil {
		t.Fatal(err)
	}
	good(t, server, "restore", file)
	server.Start()
	if got := u.sub(); got != sub || !u.signedIn() {
		t.Errorf("the sub is %s, want %s, with its session", got, sub)
	}
}
