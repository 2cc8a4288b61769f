// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
	"calleridp/provider/apikey"
	"calleridp/provider/audit/trail"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/funnel"
	"calleridp/provider/grant"
	"calleridp/provider/idempotency"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/storage/storagetest"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// newestFixture is the number of the newest pair of fixtures. testdata/v1.db.gz is
// a whole store with the first version of every kind of record, and v1.txt lists
// its fields; v2 has the second version of clients, v3 the third of limits and attempts and
// the second of codes and grants, v4 the fourth of attempts
// and clients and the third of codes and grants. This command writes the newest pair:
//
//	go test ./storage/bolt -run TestFixtures -write-fixtures
//
// After a release, its fixtures never change. From then on, raising the version of
// a kind in storage/record also raises newestFixture and adds a pair.
const newestFixture = 4

var writeFixtures = flag.Bool("write-fixtures", false, "write the fixtures of the current record versions")

func TestFixtures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock always starts in 2000
		start := time.Now().UTC()
		base := filepath.Join("testdata", fmt.Sprintf("v%d", newestFixture))
		if *writeFixtures {
			writeFixture(t, filepath.Join(t.TempDir(), "store.db"), base, start)
		}
		for version := 1; version <= newestFixture; version++ {
			base := filepath.Join("testdata", fmt.Sprintf("v%d", version))
			path := filepath.Join(t.TempDir(), "store.db")
			unpack(t, base+".db.gz", path)
			got := dump(t, openAt(t, path, Options{}))
			file, err := os.ReadFile(base + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			for line := range strings.Lines(string(file)) {
				field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
				want[field] = value
				if got[field] != value {
					t.Errorf("version %d: %s is %q, want %q", version, field, got[field], value)
				}
			}
			for field, value := range got { // a field that version did not have
				if _, had := want[field]; !had && value != `""` && value != "false" && value != "[]" && strings.Trim(value, "0") != "" {
					t.Errorf("version %d: %s is %q, which that version did not have", version, field, value)
				}
			}
		}
	})
}

func writeFixture(t *testing.T, path, base string, start time.Time) {
	s := openAt(t, path, Options{Tells: storagetest.Tells})
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	later := start.Add(time.Hour)
	must(s.PinIssuer(ctx, "https://id.example"))
	must(s.CreateClient(ctx, storagetest.Filled[client.Client](start)))
	token := storagetest.Filled[client.InitialToken](start)
	token.Expires = later
	must(s.CreateInitialToken(ctx, token))
	device := storagetest.Filled[grant.DeviceRequest](start)
	device.User, device.Expires = [32]byte{7}, later
	must(s.CreateDeviceRequest(ctx, device, limit.Spend{}, start))
	apiKey := storagetest.Filled[apikey.Key](start)
	apiKey.Expires = later
	must(s.CreateAPIKey(ctx, apiKey))
	request := storagetest.Filled[idempotency.Request](start)
	request.Began = start
	must(s.EndRequest(ctx, request))
	must(s.AdvanceAuditHead(ctx, trail.Head{Server: "web-1", First: 2, Seq: 3, Digest: [32]byte{4}, Time: start}))
	must(s.AddFunnel(ctx, []funnel.Period{
		{Unit: funnel.Hour, Start: funnel.Hour.Of(start), Tally: storagetest.Filled[funnel.Tally](start)},
		{Unit: funnel.Day, Start: funnel.Day.Of(start), Tally: storagetest.Filled[funnel.Tally](start)},
	}))
	must(s.UseAssertion(ctx, client.NewAssertionID("shop", "1"), start.Add(time.Hour)))
	must(s.ReplaceSigningKeys(ctx, []keys.Record{storagetest.Filled[keys.Record](start)}, 0))
	_, err := s.PutDelivery(ctx, storagetest.Filled[truecaller.Delivery](start))
	must(err)
	a := storagetest.Filled[login.Attempt](start)
	a.State = login.Approved
	a.Correlation, a.Expires = sha256.Sum256([]byte("state")), later
	must(s.CreateAttempt(ctx, a, limit.Spend{Lock: limit.Key{Kind: limit.Lock, ID: "46701740605"}, LockFor: time.Hour,
		Cooling: limit.Cooling{Key: limit.Key{Kind: limit.CoolingOff, ID: "46701740605"}, Rule: limit.CoolDown{First: time.Hour, Longest: time.Hour}},
		Number:  []limit.Charge{{Key: limit.Key{Kind: limit.Number, ID: "46701740605"}, Rate: limit.Rate{Burst: 2, Period: time.Hour}}},
		Asker:   []limit.Charge{{Key: limit.Key{Kind: limit.Client, ID: "shop"}, Rate: limit.Rate{Burst: 1, Period: time.Hour}}}}, start))
	p := storagetest.Filled[subject.Person](start)
	_, err = s.ApproveAttempt(ctx, a.ID, a.Number, func(a login.Attempt, _ *subject.Person) (login.Approval, error) {
		return login.Approval{Attempt: a, Person: p, Effects: login.Effects{Approved: later}}, nil
	})
	must(err)
	c := storagetest.Filled[grant.Code](start)
	c.Hash, c.Expires, c.Grant.Expires, c.Grant.Revoked, c.Grant.Offline = sha256.Sum256([]byte("code")), later, later, false, false
	ss := storagetest.Filled[session.Session](start)
	ss.ID, ss.Expires = c.Grant.SID, later
	_, err = s.FinishAttempt(ctx, a.ID, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
		return login.SignIn{Attempt: a, Session: ss, Code: c}, nil
	})
	must(err)
	k := storagetest.Filled[consent.Consent](start)
	third := storagetest.Filled[grant.Code](start)
	third.Hash, third.Grant.SID, third.Grant.ID, third.Expires = sha256.Sum256([]byte("third")), "", "third", later
	_, err = s.Allow(ctx, k.Sub, k.ClientID, func(*consent.Consent) consent.Approval {
		return consent.Approval{Consent: k, Code: third}
	})
	must(err)
	access := storagetest.Filled[grant.AccessToken](start)
	access.Hash, access.GrantID, access.Expires = sha256.Sum256([]byte("token")), c.Grant.ID, later
	_, err = s.UseCode(ctx, c.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
		return grant.Redemption{Grant: &c.Grant, Access: &access}
	})
	must(err)

	must(s.write(ctx, func(t *txn) error {
		n, to := storagetest.Filled[notify.Notice](start), storagetest.Filled[notify.Receiver](start)
		to.ID = n.Receiver
		stream, k := storagetest.Filled[signals.Stream](start), storagetest.Filled[subject.Known](start)
		return errors.Join(t.putNotice(n), t.putReceiver(to), t.changeStream(stream.ClientID, signals.Update{Stream: &stream}),
			t.put(&known, record.KnownKey(k), never, (*record.Known)(&k)))
	}))
	must(s.RemoveSubject(ctx, "shop", [32]byte{5}))

	var lines []string
	for field, value := range dump(t, s) {
		lines = append(lines, field+" = "+value+"\n")
	}
	sort.Strings(lines)
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	must(s.Backup(ctx, anySize, zip))
	must(zip.Close())
	must(s.Close())
	must(os.MkdirAll("testdata", 0o755))
	must(os.WriteFile(base+".db.gz", packed.Bytes(), 0o644))
	must(os.WriteFile(base+".txt", []byte(strings.Join(lines, "")), 0o644))
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	file, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// dump reads everything in the fixture by the stores' own methods, and returns one
// line for each field.
func dump(t *testing.T, s *Store) map[string]string {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lines := map[string]string{}
	add := func(name string, v any, err error) {
		t.Helper()
		must(err)
		flatten(lines, name, reflect.ValueOf(v))
	}
	must(s.PinIssuer(ctx, "https://id.example"))
	clients, err := s.Clients(ctx)
	add("clients", clients, err)
	if clients[0].Registration != nil { // since version 4
		permitted, err := s.InitialTokens(ctx)
		add("initial tokens", permitted, err)
		device, err := s.DeviceRequest(ctx, [32]byte{7})
		add("device request", device, err)
		for _, unit := range []funnel.Unit{funnel.Hour, funnel.Day} {
			counted, err := s.Funnel(ctx, unit, time.Unix(0, 0), time.Now().Add(time.Hour))
			add("funnel", counted, err)
		}
	}
	if apiKeys, err := s.APIKeys(ctx); err != nil || len(apiKeys) > 0 { // since version 4
		add("API keys", apiKeys, err)
		request, _, err := s.BeginRequest(ctx, idempotency.Request{Key: storagetest.Filled[idempotency.Request](time.Time{}).Key, Began: time.Now()})
		add("request", request, err)
	}
	set, version, err := s.SigningKeys(ctx)
	add("keys", set, err)
	add("keys.version", version, nil)
	inbox, err := s.Deliveries(ctx, 10)
	add("deliveries", inbox, err)
	a, err := s.AttemptByCorrelation(ctx, sha256.Sum256([]byte("state")))
	add("attempt", a, err)
	if a.Form != ([32]byte{}) { // since version 2
		byForm, err := s.AttemptByForm(ctx, a.Form)
		add("attempt by its form", byForm.ID, err)
		live, err := s.LiveAttempts(ctx, a.Browser, time.Time{})
		add("attempts of the browser", live, err)
	}
	if a.Pushes != 0 { // since version 3
		states, err := s.LimitStates(ctx, limit.Key{Kind: limit.CoolingOff, ID: "46701740605"})
		add("cool-down", states, err)
	}
	stored, err := view(ctx, s, func(r reader) (record.Attempt, error) { return r.attempt(a.ID) })
	must(err)
	if len(stored.Paid) > 0 { // since version 4
		add("attempt.paid", stored.Paid, nil)
	}
	person, err := s.PersonOf(ctx, a.Number)
	add("person of the number", person, err)
	person, err = s.Person(ctx, person.Sub)
	add("person", person, err)
	record, err := s.Account(ctx, person.Sub)
	add("account", record, err)
	var code grant.Code
	var g grant.Grant
	_, err = s.UseCode(ctx, sha256.Sum256([]byte("code")), func(c grant.Code, stored *grant.Grant) grant.Redemption {
		code, g = c, *stored
		return grant.Redemption{}
	})
	add("code", code, err)
	add("grant", g, nil)
	signedIn, err := s.Session(ctx, g.SID)
	add("session", signedIn, err)
	signedIn, err = s.SessionBySecret(ctx, signedIn.Secret)
	add("session by secret", signedIn, err)
	if all, err := s.Receivers(ctx); err != nil || len(all) > 0 { // since version 4
		add("receivers", all, err)
		notice, err := view(ctx, s, func(r reader) (n notify.Notice, err error) {
			for key, value := range r.noticesOf(all[0].ID) {
				err = r.open(&notices, key, value, (*noticeRecord)(&n))
			}
			return n, err
		})
		add("notice", notice, err)
	}
	if all, err := s.AuditHeads(ctx); err != nil || len(all) > 0 { // since version 4
		add("audit heads", all, err)
	}
	if all, err := s.Streams(ctx); err != nil || len(all) > 0 { // since version 4
		add("streams", all, err)
		who := storagetest.Filled[subject.Known](time.Time{}).Sub
		knows, err := view(ctx, s, func(r reader) ([]subject.Known, error) { return r.knownOf(who), nil })
		add("known", knows, err)
		removed, err := s.SubjectRemoved(ctx, "shop", [32]byte{5})
		add("removed", removed, err)
	}
	k := storagetest.Filled[consent.Consent](time.Time{})
	allowed, err := s.Consent(ctx, k.Sub, k.ClientID)
	add("consent", allowed, err)
	token, _, err := s.AccessToken(ctx, sha256.Sum256([]byte("token")))
	add("token", token, err)
	for _, key := range []limit.Key{{Kind: limit.Lock, ID: "46701740605"}, {Kind: limit.Client, ID: "shop"}} {
		must(s.read(ctx, func(r reader) error {
			l, err := r.limit(s.sealer.LimitKey(key))
			add("limit "+string(key.Kind), l.Until.UTC(), err)
			add("holder "+string(key.Kind), l.Holder.Attempt, nil)
			add("browser "+string(key.Kind), l.Holder.Browser, nil)
			add("approved "+string(key.Kind), l.Approved, nil)
			return nil
		}))
	}
	return lines
}

// noticeRecord is record.Notice, where a variable has the name of its package.
type noticeRecord = record.Notice

func flatten(into map[string]string, name string, v reflect.Value) {
	switch x := v.Interface().(type) {
	case time.Time:
		into[name] = ""
		if !x.IsZero() {
			into[name] = x.Format(time.RFC3339Nano)
		}
		return
	case phone.Number:
		into[name] = x.E164()
		return
	case []byte:
		into[name] = fmt.Sprintf("%x", x)
		return
	}
	switch v.Kind() {
	case reflect.Array: // hashes, some of which print as a mark
		hash := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(hash), v)
		into[name] = fmt.Sprintf("%x", hash)
	case reflect.Struct:
		for i := range v.NumField() {
			flatten(into, name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		if v.Len() == 0 {
			into[name] = "[]"
		}
		for i := range v.Len() {
			flatten(into, fmt.Sprintf("%s[%d]", name, i), v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			flatten(into, name, v.Elem())
		}
	case reflect.String:
		into[name] = fmt.Sprintf("%q", v.String())
	default:
		into[name] = fmt.Sprint(v.Interface())
	}
}
