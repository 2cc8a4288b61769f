package bolt

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/storagetest"
	"calleridp/truecaller"
)

// record is a record of any kind.
type record interface{ fields(*codec) }

// kinds are all records, by their buckets.
var kinds = map[string]func() record{
	"signing_keys":  func() record { return &keySetRecord{} },
	"clients":       func() record { return &clientRecord{} },
	"people":        func() record { return &personRecord{} },
	"limits":        func() record { return &limitRecord{} },
	"attempts":      func() record { return &attemptRecord{} },
	"deliveries":    func() record { return &deliveryRecord{} },
	"sessions":      func() record { return &sessionRecord{} },
	"codes":         func() record { return &codeRecord{} },
	"grants":        func() record { return &grantRecord{} },
	"access_tokens": func() record { return &tokenRecord{} },
}

// fullRecords are records none of whose fields is zero.
func fullRecords(now time.Time) map[string]record {
	c := clientRecord(storagetest.Filled[client.Client](now))
	p := personRecord(storagetest.Filled[subject.Person](now))
	d := deliveryRecord(storagetest.Filled[truecaller.Delivery](now))
	s := sessionRecord(storagetest.Filled[session.Session](now))
	k := codeRecord(storagetest.Filled[grant.Code](now))
	g := grantRecord(storagetest.Filled[grant.Grant](now))
	a := tokenRecord(storagetest.Filled[grant.AccessToken](now))
	return map[string]record{
		"signing_keys": &keySetRecord{Version: 7, Keys: []keys.Record{storagetest.Filled[keys.Record](now)}},
		"clients":      &c, "people": &p, "deliveries": &d, "sessions": &s, "codes": &k, "grants": &g, "access_tokens": &a,
		"limits":   &limitRecord{Holder: "attempt"},
		"attempts": &attemptRecord{Attempt: storagetest.Filled[login.Attempt](now), Lock: [32]byte{1, 2, 3}},
	}
}

// Bytes that are cut short, or have something after them, are no record.
func TestRecordsAreWhole(t *testing.T) {
	for name, full := range fullRecords(time.Unix(1_000_000_000, 1).UTC()) {
		plain := encode(full.fields)
		again := kinds[name]()
		if err := decode(plain, again.fields); err != nil || !reflect.DeepEqual(again, full) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, again, full)
		}
		for n := range plain {
			if decode(plain[:n], kinds[name]().fields) == nil {
				t.Errorf("%s: %d of %d bytes are taken for a record", name, n, len(plain))
			}
		}
		if decode(append(plain, 0), kinds[name]().fields) == nil {
			t.Errorf("%s: a byte too many is taken for a record", name)
		}
		empty := kinds[name]()
		if err := decode(encode(empty.fields), empty.fields); err != nil || !reflect.DeepEqual(empty, kinds[name]()) {
			t.Errorf("%s: the zero record comes back as %+v, %v", name, empty, err)
		}
	}
}

// Whatever the bytes, reading them does not panic or take memory without bound,
// and what is read is read the same after it was written again.
func FuzzRecords(f *testing.F) {
	for _, full := range fullRecords(time.Unix(1_000_000_000, 1).UTC()) {
		f.Add(encode(full.fields))
	}
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, empty := range kinds {
			r := empty()
			if decode(data, r.fields) != nil {
				continue
			}
			again := empty()
			if err := decode(encode(r.fields), again.fields); err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, again, r)
			}
		}
	})
}
