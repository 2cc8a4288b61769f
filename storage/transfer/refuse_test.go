// SPDX-License-Identifier: Apache-2.0

package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"calleridp/provider/limit"
	"calleridp/storage/record"
	"calleridp/storage/transfer"
)

// changing is a Reader whose records a test changes, or ends with an error.
type changing struct {
	transfer.Reader
	change func(k *record.Kind, s *transfer.Stored) error
}

func (c changing) Records(ctx context.Context, k *record.Kind, at time.Time) iter.Seq2[transfer.Stored, error] {
	return func(yield func(transfer.Stored, error) bool) {
		for stored, err := range c.Reader.Records(ctx, k, at) {
			if err == nil {
				err = c.change(k, &stored)
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
	}
}

// dropping is a Writer that loses the last record of a kind.
type dropping struct {
	transfer.Writer
	of        *record.Kind
	committed bool
}

func (d *dropping) Write(ctx context.Context, k *record.Kind, records iter.Seq2[transfer.Stored, error]) error {
	return d.Writer.Write(ctx, k, func(yield func(transfer.Stored, error) bool) {
		for stored, err := range records {
			if k == d.of && err == nil {
				continue
			}
			if !yield(stored, err) {
				return
			}
		}
	})
}

func (d *dropping) Commit(ctx context.Context) error {
	d.committed = true
	return d.Writer.Commit(ctx)
}

// filled is a file with a few users' records.
func filled(t *testing.T) (from place, src source) {
	t.Helper()
	from = inFile(t)
	s := from.open(t)
	fill(t, s, 3, time.Now())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	src, err := from.source()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return from, src
}

// A record that does not open is named, and stops the copy, or is left out and listed.
// Without the store's own facts and the signing keys there is no copy.
func TestThreat_DamagedRecords(t *testing.T) {
	_, src := filled(t)
	for _, k := range transfer.Kinds() {
		if k == &record.Attempts { // engines look at them for their forms: see TestDamagedAttempts in bolt
			continue
		}
		vital := k == &record.Meta || k == &record.SigningKeys
		for _, skip := range []bool{false, true} {
			damaged := changing{src, func(of *record.Kind, s *transfer.Stored) error {
				if of == k {
					s.Value = bytes.Clone(s.Value)
					s.Value[len(s.Value)-1] ^= 1
				}
				return nil
			}}
			var listed []string
			dst, err := inFile(t).target()
			if err != nil {
				t.Fatal(err)
			}
			result, err := transfer.Copy(t.Context(), damaged, dst, transfer.Options{
				Sealer: record.NewSealer(master(t, 'k')), Issuer: issuer, SkipDamaged: skip,
				Damaged: func(kind, key string, err error) { listed = append(listed, kind+" "+key) },
			})
			dst.Close()
			if skip && !vital {
				left := slices.ContainsFunc(result.Counts, func(c transfer.Count) bool { return c.Kind == k.Name && c.Records > 0 })
				if err != nil || left || k != &record.Deleted && (result.Damaged == 0 || result.Damaged != len(listed) || !strings.HasPrefix(listed[0], k.Name+" key ")) {
					t.Errorf("damaged %s that are left out: %v, %d of them, %q listed", k.Name, err, result.Damaged, listed)
				}
				continue
			}
			if k == &record.Deleted && err == nil { // there is none among so few users
				continue
			}
			if !errors.Is(err, transfer.ErrDamaged) || !strings.Contains(err.Error(), k.Name+", key ") || !strings.Contains(err.Error(), "backup") ||
				vital == strings.Contains(err.Error(), "--skip-damaged") {
				t.Errorf("damaged %s, left out: %v: %v", k.Name, skip, err)
			}
		}
	}
}

// A record that a newer version of the program has written is not damaged, and is never
// left out.
func TestNewerRecords(t *testing.T) {
	_, src := filled(t)
	next := record.Clients
	version := reflect.ValueOf(&next).Elem().FieldByName("version")
	*(*byte)(unsafe.Pointer(version.UnsafeAddr())) = 200
	newer := changing{src, func(k *record.Kind, s *transfer.Stored) error {
		if k == &record.Clients {
			s.Value = record.NewSealer(master(t, 'k')).Seal(&next, s.Key, time.Time{}, k.New())
		}
		return nil
	}}
	dst, err := inFile(t).target()
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	_, err = transfer.Copy(t.Context(), newer, dst, transfer.Options{Sealer: record.NewSealer(master(t, 'k')), Issuer: issuer, SkipDamaged: true})
	if !errors.Is(err, transfer.ErrOutdated) || !errors.Is(err, record.ErrNewer) {
		t.Errorf("a newer record: %v", err)
	}
}

// What was lost on the way is noticed before the copy becomes a store.
func TestACopyIsReadBack(t *testing.T) {
	_, src := filled(t)
	for _, k := range transfer.Kinds() {
		if k == &record.Deleted || k == &record.Attempts { // no record; and its forms stay away, too
			continue
		}
		for _, to := range []place{inFile(t), inDatabase(t, nil)} {
			dst, err := to.target()
			if err != nil {
				t.Fatal(err)
			}
			lossy := &dropping{Writer: dst, of: k}
			_, err = transfer.Copy(t.Context(), src, lossy, transfer.Options{Sealer: record.NewSealer(master(t, 'k')), Issuer: issuer})
			if !errors.Is(err, transfer.ErrDiffers) || !strings.Contains(err.Error(), k.Name) || lossy.committed {
				t.Errorf("%s were lost: %v, committed: %v", k.Name, err, lossy.committed)
			}
			dst.Close()
			if to.opens() == nil {
				t.Errorf("%s were lost, and a server starts", k.Name)
			}
		}
	}
}

// The store of another issuer is not copied, and neither is one that no server has used:
// it is probably the wrong one.
func TestOtherStores(t *testing.T) {
	from, src := filled(t)
	if _, err := copied(t, from, inFile(t), nil); err == nil {
		t.Error("a file that is being copied is copied")
	}
	src.Close()
	_, err := copied(t, from, inFile(t), func(o *transfer.Options) { o.Issuer = "https://other.example" })
	if !errors.Is(err, transfer.ErrIssuer) || !strings.Contains(err.Error(), issuer) {
		t.Errorf("another issuer: %v", err)
	}
	for _, unused := range []place{inFile(t), inDatabase(t, nil)} {
		if err := unused.opens(); err != nil {
			t.Fatal(err)
		}
		if _, err := copied(t, unused, inFile(t), nil); !errors.Is(err, transfer.ErrEmpty) {
			t.Errorf("a store that was not used: %v", err)
		}
	}
}

// What has expired stays behind, with what leads to it.
func TestExpiredRecordsStayBehind(t *testing.T) {
	for _, row := range []struct {
		name     string
		from, to place
	}{{"from a file", inFile(t), inDatabase(t, nil)}, {"from a database", inDatabase(t, nil), inFile(t)}} {
		s := row.from.open(t)
		w := newWorld(0, time.Now())
		w.attempt.Expires = w.now.Add(-10 * time.Hour)
		err := errors.Join(s.PinIssuer(t.Context(), issuer), s.CreateAttempt(t.Context(), w.attempt, limit.Spend{}, w.now), s.Close())
		if err != nil {
			t.Fatal(err)
		}
		result, err := copied(t, row.from, row.to, nil)
		if err != nil || result.Records != 1 {
			t.Errorf("%s: %d records were copied, %v, want the issuer alone", row.name, result.Records, err)
		}
	}
}
