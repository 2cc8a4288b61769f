// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
)

func testSealer(t testing.TB) Sealer {
	t.Helper()
	master, err := keys.NewMaster([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return NewSealer(master)
}

// Every kind has a name and a key of its own, and is declared once in Kinds.
func TestKindsAreApart(t *testing.T) {
	names, purposes := map[string]bool{}, map[keys.Purpose]bool{}
	for _, k := range Kinds() {
		if k.Name == "" || k.purpose == "" || k.version == 0 || names[k.Name] || purposes[k.purpose] {
			t.Errorf("got kind %+v, want a name and a purpose that no other kind has", *k)
		}
		names[k.Name], purposes[k.purpose] = true, true
	}
	for _, row := range definitions(time.Now()) {
		if !names[row.kind.Name] {
			t.Errorf("kind %s is missing in Kinds", row.kind.Name)
		}
	}
}

// A code contains a grant, which it reads in its own version.
func TestCodesHaveTheVersionOfGrants(t *testing.T) {
	if Codes.version != Grants.version {
		t.Errorf("got version %d of codes and %d of grants, want the same", Codes.version, Grants.version)
	}
}

// parcel is a record that got a field in its second version.
type parcel struct {
	name  string
	heavy bool
}

func (p *parcel) fields(c *codec, version byte) {
	text(c, &p.name)
	if version >= 2 {
		c.flag(&p.heavy)
	}
}

// A program reads the records of every earlier version, and refuses those of a
// later one without taking them for damaged.
func TestVersionsOfAKind(t *testing.T) {
	s := testSealer(t)
	first := Kind{Name: "sessions", purpose: keys.PurposeSessionRecord, version: 1}
	second := Kind{Name: "sessions", purpose: keys.PurposeSessionRecord, version: 2}
	full := parcel{name: "books", heavy: true}
	old := s.Seal(&first, []byte("key"), time.Time{}, &full)
	renewed := s.Seal(&second, []byte("key"), time.Time{}, &full)

	for _, row := range []struct {
		name  string
		kind  *Kind
		value []byte
		want  parcel
	}{
		{"version 1 by version 1", &first, old, parcel{name: "books"}},
		{"version 1 by version 2", &second, old, parcel{name: "books"}},
		{"version 2 by version 2", &second, renewed, full},
	} {
		var got parcel
		if err := s.Open(row.kind, []byte("key"), row.value, &got); err != nil || got != row.want {
			t.Errorf("%s: got %+v, %v, want %+v", row.name, got, err, row.want)
		}
	}

	// In between, a release reads the next version and writes its own, so that its servers
	// run beside those of the release before and beside those of the next.
	between := Kind{Name: "sessions", purpose: keys.PurposeSessionRecord, version: 1, reads: 2}
	written := s.Seal(&between, []byte("key"), time.Time{}, &full)
	for name, row := range map[string]struct {
		kind  *Kind
		value []byte
		want  parcel
	}{
		"the release before reads it": {&first, written, parcel{name: "books"}},
		"it reads the next release":   {&between, renewed, full},
		"it reads itself":             {&between, written, parcel{name: "books"}},
	} {
		var got parcel
		if err := s.Open(row.kind, []byte("key"), row.value, &got); err != nil || got != row.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, row.want)
		}
	}

	var got parcel
	err := s.Open(&first, []byte("key"), renewed, &got)
	if !errors.Is(err, ErrNewer) || !errors.Is(err, ErrUnreadable) || got != (parcel{}) {
		t.Errorf("version 2 by version 1: got %+v, %v, want ErrNewer", got, err)
	}
	for _, says := range []string{"sessions", "newer version of calleridp", "record version 2", "up to 1", "restore a backup"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("got %q, want %q in it", err, says)
		}
	}

	renewed[0] = 3 // damaged, not newer
	err = s.Open(&first, []byte("key"), renewed, &got)
	if errors.Is(err, ErrNewer) || !errors.Is(err, ErrUnreadable) {
		t.Errorf("a changed version: got %v, want ErrUnreadable alone", err)
	}
	zero := Kind{Name: "sessions", purpose: keys.PurposeSessionRecord}
	unversioned := s.Seal(&zero, []byte("key"), time.Time{}, &full)
	if err := s.Open(&first, []byte("key"), unversioned, &got); !errors.Is(err, ErrFormat) {
		t.Errorf("version 0: got %v, want ErrFormat", err)
	}
}

// An expiry that was never set, of a kind that expires, is long past.
func TestExpiry(t *testing.T) {
	s := testSealer(t)
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	expiring := Kind{Name: "expiring", purpose: keys.PurposeSessionRecord, version: 1, expires: true}
	lasting := Kind{Name: "lasting", purpose: keys.PurposeSessionRecord, version: 1}
	for _, row := range []struct {
		name  string
		kind  *Kind
		until time.Time
		want  bool
	}{
		{"before its expiry", &expiring, now.Add(1), false},
		{"at its expiry", &expiring, now, true},
		{"without an expiry", &expiring, time.Time{}, true},
		{"far in the future", &expiring, now.AddDate(1000, 0, 0), false},
		{"a kind that does not expire", &lasting, now.Add(-1), false},
	} {
		if got := Expired(s.Seal(row.kind, nil, row.until, &Tombstone{}), now); got != row.want {
			t.Errorf("%s: expired is %v, want %v", row.name, got, row.want)
		}
	}
}

// A record is stored in another clock's time, and reads in that of whoever opens it.
func TestTimesOfAnotherClock(t *testing.T) {
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	by := func(d time.Duration) Sealer { return testSealer(t).In(func() time.Duration { return d }) }
	slow, fast := by(time.Hour), by(-time.Minute) // the other clock is ahead, and behind
	d := Delivery{ID: "d", Received: now}
	value := slow.Seal(&Deliveries, []byte("d"), now.Add(time.Minute), &d)
	if got, want := Expiry(value), now.Add(time.Hour+time.Minute).UnixNano(); got != want {
		t.Errorf("it expires %s too late", time.Duration(got-want))
	}
	for _, row := range []struct {
		name string
		s    Sealer
		want time.Time
	}{
		{"the same", slow, now},
		{"another one", fast, now.Add(time.Hour + time.Minute)},
		{"the stored time", testSealer(t), now.Add(time.Hour)},
	} {
		var got Delivery
		if err := row.s.Open(&Deliveries, []byte("d"), value, &got); err != nil || !got.Received.Equal(row.want) {
			t.Errorf("%s: %v, %v, want %v", row.name, got.Received, err, row.want)
		}
	}
	var none Delivery
	if err := slow.Open(&Deliveries, []byte("d"), slow.Seal(&Deliveries, []byte("d"), now, &Delivery{}), &none); err != nil || !none.Received.IsZero() {
		t.Errorf("no time became %v, %v", none.Received, err)
	}
}
