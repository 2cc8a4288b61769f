// SPDX-License-Identifier: Apache-2.0

package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/redact"
	"calleridp/storage/bolt"
	"calleridp/storage/postgres"
	"calleridp/storage/postgres/pgtest"
	"calleridp/storage/record"
	"calleridp/storage/storagetest"
	"calleridp/storage/transfer"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(withServer(m.Run)) }

func withServer(run func() int) int {
	var err error
	if server, err = pgtest.Start(pgtest.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop()
	return run()
}

func master(t testing.TB, fill byte) *keys.Master {
	t.Helper()
	m, err := keys.NewMaster([]byte(strings.Repeat(string(fill), keys.MasterSize)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// source and target are what both engines have.
type source interface {
	transfer.Reader
	io.Closer
}

type target interface {
	transfer.Writer
	io.Closer
}

// place is where a store is, or may be.
type place struct {
	engine func() (storagetest.Engine, error)
	source func() (source, error)
	target func() (target, error)
}

func (p place) open(t testing.TB) storagetest.Engine {
	t.Helper()
	s, err := p.engine()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// opens returns the error of a server that starts.
func (p place) opens() error {
	s, err := p.engine()
	if err == nil {
		s.Close()
	}
	return err
}

// inFile is a place in a new folder.
func inFile(t testing.TB) place {
	path := filepath.Join(t.TempDir(), "store.db")
	o := bolt.Options{AllowNetworkFS: true, Tells: storagetest.Tells}
	return place{
		engine: func() (storagetest.Engine, error) { return bolt.Open(path, master(t, 'k'), o) },
		source: func() (source, error) { return some(bolt.OpenSource(path, master(t, 'k'), o)) },
		target: func() (target, error) { return made(bolt.CreateTarget(path, master(t, 'k'), o)) },
	}
}

// inDatabase is a place in a new database.
func inDatabase(t testing.TB, through func(dsn string) string) place {
	dsn, err := server.Database(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	o := postgres.Options{DSN: redact.Text(dsn), RecoverFor: time.Minute, StatementTimeout: time.Minute, Tells: storagetest.Tells}
	if through != nil {
		o.DSN, o.Pooler = redact.Text(through(dsn)), true
	}
	ctx := context.Background()
	return place{
		engine: func() (storagetest.Engine, error) { return postgres.Open(ctx, master(t, 'k'), o) },
		source: func() (source, error) { return some(postgres.OpenSource(ctx, master(t, 'k'), o)) },
		target: func() (target, error) { return made(postgres.OpenTarget(ctx, master(t, 'k'), o)) },
	}
}

// some returns no interface for a nil pointer.
func some[T source](v T, err error) (source, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func made[T target](v T, err error) (target, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// copied copies one place to another.
func copied(t testing.TB, from, to place, change func(*transfer.Options)) (transfer.Result, error) {
	t.Helper()
	o := transfer.Options{Sealer: record.NewSealer(master(t, 'k')), Issuer: issuer}
	if change != nil {
		change(&o)
	}
	src, err := from.source()
	if err != nil {
		return transfer.Result{}, err
	}
	defer src.Close()
	dst, err := to.target()
	if err != nil {
		return transfer.Result{}, err
	}
	defer dst.Close()
	return transfer.Copy(context.Background(), src, dst, o)
}

// pooler is a way to the server through PgBouncer, which a server has one of.
var pooler = sync.OnceValues(func() (func(dsn string) string, error) { return server.Pooler() })

// Everything is there after a copy to PostgreSQL and back, of every kind of record, and
// each engine answers everything as the one before.
func TestRoundTrip(t *testing.T) {
	through, err := pooler()
	if err != nil {
		t.Fatal(err)
	}
	places := []place{inFile(t), inDatabase(t, nil), inFile(t), inDatabase(t, through), inFile(t)}
	first := places[0].open(t)
	worlds := fill(t, first, 32, time.Now().Truncate(time.Microsecond).UTC())
	want := answers(t, first, worlds)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	var before transfer.Result
	for i := 1; i < len(places); i++ {
		result, err := copied(t, places[i-1], places[i], nil)
		if err != nil {
			t.Fatal(i, err)
		}
		kinds := map[string]int{}
		for _, c := range result.Counts {
			kinds[c.Kind] = c.Records
		}
		for _, k := range record.Kinds() {
			if kinds[k.Name] == 0 && !k.Follows() {
				t.Errorf("no record of %s was copied; fill must store one, and the copy carry it", k.Name)
			}
		}
		if i > 1 && (result.Digest != before.Digest || result.Records != before.Records) {
			t.Errorf("copy %d has %d records with the digest %x, want %d and %x: %v, want %v",
				i, result.Records, result.Digest, before.Records, before.Digest, result.Counts, before.Counts)
		}
		// A store that has been used since has other records than the copy it came from.
		before = result
		if i == 1 || i == len(places)-1 {
			copyOf := places[i].open(t)
			same(t, answers(t, copyOf, worlds), want)
			if err := copyOf.Close(); err != nil {
				t.Fatal(err)
			}
			if again, err := copied(t, places[i], inFile(t), nil); err != nil {
				t.Fatal(err)
			} else {
				before = again
			}
		}
	}
	// What leads to the records of a user leads there, too: everything can be deleted.
	last := places[len(places)-1].open(t)
	for _, w := range worlds {
		if err := last.DeletePerson(t.Context(), w.person.Sub); err != nil {
			t.Fatal(err)
		}
		if _, err := last.SessionBySecret(t.Context(), w.session.Secret); err == nil {
			t.Errorf("%s is still signed in", w.person.Sub)
		}
		if _, _, err := last.Code(t.Context(), w.code.Hash); err == nil {
			t.Errorf("%s still has a code", w.person.Sub)
		}
	}
	last.Close()
}

// While a server has the store open, it is not copied, and no server opens a store that
// is being copied or made.
func TestInUse(t *testing.T) {
	for _, row := range []struct {
		name  string
		of    func(testing.TB) place
		inUse error
	}{
		{"file", inFile, bolt.ErrInUse},
		{"database", func(t testing.TB) place { return inDatabase(t, nil) }, postgres.ErrInUse},
	} {
		t.Run(row.name, func(t *testing.T) {
			from := row.of(t)
			s := from.open(t)
			fill(t, s, 1, time.Now())
			if _, err := from.source(); !errors.Is(err, row.inUse) {
				t.Errorf("copying a store in use: %v, want %v", err, row.inUse)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			src, err := from.source()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := from.source(); err == nil {
				t.Error("it is copied twice at once")
			}
			if err := src.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := from.target(); err == nil {
				t.Error("a copy goes into a store that has records")
			}
			s = from.open(t)
			s.Close()
		})
	}
}

// A copy that fails, whenever it does, leaves nothing, and the next one begins again.
func TestInterrupted(t *testing.T) {
	from := inFile(t)
	s := from.open(t)
	fill(t, s, 8, time.Now())
	s.Close()
	errStop := errors.New("stopped")
	for _, row := range []struct {
		name       string
		to         place
		unfinished error
	}{
		{"file", inFile(t), bolt.ErrUnfinished},
		{"database", inDatabase(t, nil), postgres.ErrUnfinished},
	} {
		t.Run(row.name, func(t *testing.T) {
			src, err := from.source()
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			for stop := 0; ; stop += 17 {
				dst, err := row.to.target()
				if err != nil {
					t.Fatal(stop, err)
				}
				if stop == 0 {
					if _, err := row.to.target(); err == nil {
						t.Error("two copies at once")
					}
				}
				left := stop
				stopping := changing{src, func(*record.Kind, *transfer.Stored) error {
					if left--; left < 0 {
						return errStop
					}
					return nil
				}}
				_, err = transfer.Copy(context.Background(), stopping, dst,
					transfer.Options{Sealer: record.NewSealer(master(t, 'k')), Issuer: issuer})
				if closing := dst.Close(); closing != nil {
					t.Fatal(closing)
				}
				if err == nil {
					break
				}
				if !errors.Is(err, errStop) {
					t.Fatal(stop, err)
				}
				if _, err := row.to.source(); err == nil {
					t.Fatalf("after %d records there is a store", stop)
				}
				if err := row.to.opens(); !errors.Is(err, row.unfinished) {
					t.Fatalf("a server starts after %d records: %v", stop, err)
				}
			}
			if src, err := row.to.source(); err != nil {
				t.Error(err)
			} else {
				src.Close()
			}
		})
	}
}
