// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/apikey"
	"calleridp/provider/audit/trail"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/funnel"
	"calleridp/provider/grant"
	"calleridp/provider/idempotency"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/storagetest"
	"calleridp/truecaller"
)

// definition is a kind and a record of it.
type definition struct {
	kind  *Kind
	empty func() Record
	full  Record // none of its fields is zero
}

func definitions(now time.Time) []definition {
	c := Client(storagetest.Filled[client.Client](now))
	p := Person(storagetest.Filled[subject.Person](now))
	d := Delivery(storagetest.Filled[truecaller.Delivery](now))
	s := Session(storagetest.Filled[session.Session](now))
	k := Code(storagetest.Filled[grant.Code](now))
	k.Front = nil // a record of its own
	g := Grant(storagetest.Filled[grant.Grant](now))
	a := AccessToken(storagetest.Filled[grant.AccessToken](now))
	allowed := Consent(storagetest.Filled[consent.Consent](now))
	set := KeySet{Version: 7, Keys: []keys.Record{storagetest.Filled[keys.Record](now)}}
	attempt := Attempt{Attempt: storagetest.Filled[login.Attempt](now), Lock: [32]byte{1, 2, 3}, Paid: []Paid{{Key: [32]byte{4}, Each: time.Hour}}}
	initial := InitialToken(storagetest.Filled[client.InitialToken](now))
	device := DeviceRequest(storagetest.Filled[grant.DeviceRequest](now))
	apiKey, request := APIKey(storagetest.Filled[apikey.Key](now)), Request(storagetest.Filled[idempotency.Request](now))
	secret := CallbackSecret{Current: [32]byte{1}, Old: []truecaller.OldSecret{{Hash: [32]byte{2}, Until: now}}}
	notice, receiver := Notice(storagetest.Filled[notify.Notice](now)), Receiver(storagetest.Filled[notify.Receiver](now))
	head := AuditHead(storagetest.Filled[trail.Head](now))
	tally := Tally(storagetest.Filled[funnel.Tally](now))
	text := Text("text")
	return []definition{
		{&SigningKeys, func() Record { return &KeySet{} }, &set},
		{&Clients, func() Record { return &Client{} }, &c},
		{&People, func() Record { return &Person{} }, &p},
		{&Limits, func() Record { return &Limit{} }, &Limit{Holder: "attempt", Browser: [32]byte{1}, Approved: true}},
		{&Attempts, func() Record { return &Attempt{} }, &attempt},
		{&Deliveries, func() Record { return &Delivery{} }, &d},
		{&Sessions, func() Record { return &Session{} }, &s},
		{&Codes, func() Record { return &Code{} }, &k},
		{&Grants, func() Record { return &Grant{} }, &g},
		{&AccessTokens, func() Record { return &AccessToken{} }, &a},
		{&Consents, func() Record { return &Consent{} }, &allowed},
		{&CallbackSecrets, func() Record { return &CallbackSecret{} }, &secret},
		{&InitialTokens, func() Record { return &InitialToken{} }, &initial},
		{&Notices, func() Record { return &Notice{} }, &notice},
		{&Receivers, func() Record { return &Receiver{} }, &receiver},
		{&Funnel, func() Record { return &Tally{} }, &tally},
		{&DeviceRequests, func() Record { return &DeviceRequest{} }, &device},
		{&APIKeys, func() Record { return &APIKey{} }, &apiKey},
		{&Requests, func() Record { return &Request{} }, &request},
		{&AuditHeads, func() Record { return &AuditHead{} }, &head},
		{&SessionIDs, func() Record { return &Hash{} }, &Hash{1, 2, 3}},
		{&Forms, func() Record { return new(Text) }, &text},
		{&Correlations, func() Record { return new(Text) }, &text},
	}
}

// Bytes that are cut short, or followed by others, are not a record.
func TestRecordsAreWhole(t *testing.T) {
	for _, row := range definitions(time.Unix(1_000_000_000, 1).UTC()) {
		name := row.kind.Name
		plain := Encode(row.kind, row.full)
		again := row.empty()
		if err := Decode(row.kind, plain, again); err != nil || !reflect.DeepEqual(again, row.full) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, again, row.full)
		}
		for n := range plain {
			if Decode(row.kind, plain[:n], row.empty()) == nil {
				t.Errorf("%s: %d of %d bytes are taken for a record", name, n, len(plain))
			}
		}
		if Decode(row.kind, append(plain, 0), row.empty()) == nil {
			t.Errorf("%s: a byte too many is taken for a record", name)
		}
		empty := row.empty()
		if err := Decode(row.kind, Encode(row.kind, empty), empty); err != nil || !reflect.DeepEqual(empty, row.empty()) {
			t.Errorf("%s: the zero record comes back as %+v, %v", name, empty, err)
		}
	}
}

// Decoding any bytes neither panics nor takes memory without bound. A record that
// was decoded is the same after encoding and decoding it again.
func FuzzRecords(f *testing.F) {
	all := definitions(time.Unix(1_000_000_000, 1).UTC())
	for _, row := range all {
		f.Add(Encode(row.kind, row.full))
	}
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, row := range all {
			r := row.empty()
			if Decode(row.kind, data, r) != nil {
				continue
			}
			again := row.empty()
			if err := Decode(row.kind, Encode(row.kind, r), again); err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("%s: %v\ngot  %+v\nwant %+v", row.kind.Name, err, again, r)
			}
		}
	})
}

// BenchmarkRecord compares decoding a user with JSON, which would be less code.
func BenchmarkRecord(b *testing.B) {
	p := Person(storagetest.Filled[subject.Person](time.Now()))
	b.Run("own", func(b *testing.B) {
		plain := Encode(&People, &p)
		for b.Loop() {
			var back Person
			if err := Decode(&People, plain, &back); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("JSON", func(b *testing.B) {
		plain, err := json.Marshal(p)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			var back Person
			if err := json.Unmarshal(plain, &back); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A version is read one release before it is written, and not two.
func TestVersionsThatAreRead(t *testing.T) {
	for _, k := range Kinds() {
		if k.version == 0 || k.newest() > k.version+1 {
			t.Errorf("%s: writes version %d and reads up to %d", k.Name, k.version, k.newest())
		}
	}
}

// Decode reads r from bytes that Encode returned.
func Decode(k *Kind, plain []byte, r Record) error { return decode(plain, k.version, r, 0) }
