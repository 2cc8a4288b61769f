// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"calleridp/keys"

	"filippo.io/age"
)

func master(t testing.TB, secret string) *keys.Master {
	t.Helper()
	m, err := keys.NewMaster([]byte(strings.Repeat(secret, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var header = Header{Schema: 2, Issuer: "https://id.example", Taken: time.Date(2026, 11, 30, 6, 0, 0, 0, time.UTC), Program: "0.9.0"}

// sealedUp returns a backup of content.
func sealedUp(t testing.TB, m *keys.Master, h Header, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	h.Bytes = int64(len(content))
	w, err := NewWriter(&out, m, h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// opens reads a whole backup.
func opens(m *keys.Master, sealed []byte) (Header, []byte, error) {
	r, err := Open(bytes.NewReader(sealed), m)
	if err != nil {
		return Header{}, nil, err
	}
	content, err := io.ReadAll(r)
	return r.Header, content, err
}

func store(n int) []byte {
	content := make([]byte, n)
	for i := range content {
		content[i] = byte(i * 7 / 3)
	}
	return content
}

func TestBackupOpens(t *testing.T) {
	m := master(t, "k")
	for _, n := range []int{0, 1, 4096, 64<<10 - 300, 64 << 10, 200_000} {
		content := store(n)
		sealed := sealedUp(t, m, header, content)
		got, back, err := opens(m, sealed)
		want := header
		want.Format, want.Bytes = Format, int64(n)
		if err != nil || got != want || !bytes.Equal(back, content) {
			t.Errorf("%d bytes: got %+v with %d bytes, %v; want %+v", n, got, len(back), err, want)
		}
		if n > 100 && bytes.Contains(sealed, content[:100]) || bytes.Contains(sealed, []byte("id.example")) {
			t.Errorf("%d bytes: something is in the clear", n)
		}
	}
}

// A backup that lacks anything, or has anything changed, does not open: cut off anywhere,
// also exactly between two chunks, with chunks left out, swapped or added, or one bit of it
// changed.
func TestThreat_ChangedBackupDoesNotOpen(t *testing.T) {
	m := master(t, "k")
	sealed := sealedUp(t, m, header, store(300_000))
	body := bytes.Index(sealed, []byte("\n---"))
	body += 1 + bytes.IndexByte(sealed[body+1:], '\n') + 1 + 16 // the nonce follows the header
	const chunk = 64<<10 + 16
	refused := func(what string, changed []byte) {
		t.Helper()
		if _, _, err := opens(m, changed); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoBackup) && !errors.Is(err, ErrOtherKey) {
			t.Errorf("%s: got %v, want that it is refused", what, err)
		}
	}
	for at := 0; at < len(sealed); at += 1 + at/7 {
		refused(fmt.Sprint("cut off to ", at), sealed[:at])
	}
	for n := range 5 {
		refused(fmt.Sprint("cut off after chunk ", n), sealed[:body+n*chunk])
	}
	refused("more at the end", append(bytes.Clone(sealed), 0))
	without := append(bytes.Clone(sealed[:body+chunk]), sealed[body+2*chunk:]...)
	refused("without the second chunk", without)
	swapped := append(bytes.Clone(sealed[:body]), sealed[body+chunk:body+2*chunk]...)
	swapped = append(append(swapped, sealed[body:body+chunk]...), sealed[body+2*chunk:]...)
	refused("with two chunks swapped", swapped)
	for at := 0; at < len(sealed); at += 1 + at/11 {
		changed := bytes.Clone(sealed)
		changed[at] ^= 1 << (at % 8)
		refused(fmt.Sprint("a bit of byte ", at), changed)
	}
	// The parts of two backups of one deployment do not make a third one.
	other := sealedUp(t, m, header, store(300_001))
	refused("the header of another", append(bytes.Clone(other[:body]), sealed[body:]...))
}

// Nobody without the master key can make a backup that opens, although they know the format.
func TestThreat_ForgedBackup(t *testing.T) {
	m := master(t, "k")
	forged := sealedUp(t, master(t, "f"), header, store(1000))
	if _, _, err := opens(m, forged); !errors.Is(err, ErrOtherKey) || !strings.Contains(err.Error(), m.Fingerprint()) {
		t.Errorf("under another key: %v", err)
	}
	renamed := bytes.Replace(forged, []byte(master(t, "f").Fingerprint()), []byte(m.Fingerprint()), 1)
	if _, _, err := opens(m, renamed); err == nil {
		t.Error("under another key that says that it is ours: it opens")
	}
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var public bytes.Buffer
	w, err := age.Encrypt(&public, own.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, _, err := opens(m, public.Bytes()); !errors.Is(err, ErrNoBackup) {
		t.Errorf("for a public key: %v, want ErrNoBackup", err)
	}
	if _, _, err := opens(m, store(5000)); !errors.Is(err, ErrNoBackup) {
		t.Errorf("no backup at all: %v, want ErrNoBackup", err)
	}
}

// A later format is refused by name, and a shorter file than announced is not written.
func TestBackupFormats(t *testing.T) {
	m := master(t, "k")
	var out bytes.Buffer
	w, err := age.Encrypt(&out, sealed{m})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(w, `{"format":2,"program":"9.9.9"}`+"\nanything")
	w.Close()
	if _, _, err := opens(m, out.Bytes()); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "9.9.9") {
		t.Errorf("a newer format: %v", err)
	}
	h := header
	h.Bytes = 10
	short, err := NewWriter(&out, m, h)
	if err != nil {
		t.Fatal(err)
	}
	short.Write([]byte("nine byte"))
	if err := short.Close(); err == nil {
		t.Error("a short file was closed as whole")
	}
}

// FuzzOpen: what opens is the header and the content that were sealed.
func FuzzOpen(f *testing.F) {
	m := master(f, "k")
	for _, seed := range []string{`{"format":1,"bytes":3}` + "\nabc", "{}\n", "", "\n", `{"format":1,"bytes":-1}` + "\n", `{"format":1,"bytes":9}` + "\nabc"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		var out bytes.Buffer
		w, err := age.Encrypt(&out, sealed{m})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(plain)
		w.Close()
		h, content, err := opens(m, out.Bytes())
		if err == nil && (int64(len(content)) != h.Bytes || !bytes.Contains(plain, content)) {
			t.Errorf("%q opened to %+v with %q", plain, h, content)
		}
	})
}
