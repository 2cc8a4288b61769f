package account_test

import (
	"calleridp/provider/account"
	"calleridp/provider/subject"
	"calleridp/storage/storagetest"
	"calleridp/truecaller/phone"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Everything that is stored and opens nothing is in the file: also a field that
// was added to a record yesterday.
func TestDownloadIsComplete(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	record := storagetest.Filled[subject.Record](now)
	raw, err := account.Export(record, "https://id.example", now)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	// What opens doors, what says nothing about the person, and the sub, which
	// stands there once.
	left := map[string]bool{"Record.Sessions.Secret": true, "Record.Grants.Nonce": true, "Record.Grants.Generation": true, "Record.Grants.Repeats": true,
		"Record.Sessions.Sub": true, "Record.Grants.Sub": true, "Record.Consents.Sub": true}
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		want := ""
		switch x := v.Interface().(type) {
		case time.Time:
			want = x.Format(time.RFC3339Nano)
		case phone.Number:
			want = x.E164()
		case string:
			want = x
		}
		switch {
		case left[name]:
			if want != "" && strings.Contains(text, want) {
				t.Errorf("%s is there: %s", name, want)
			}
		case want != "":
			if !strings.Contains(text, want) {
				t.Errorf("%s is missing: %s", name, want)
			}
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(name, v.Index(i))
			}
		case v.Kind() == reflect.Bool: // true in the record, and under a name of its own
			if strings.Count(text, ": true") < 4 { // yours, inactive, revoked, offline
				t.Errorf("%s is missing", name)
			}
		default:
			t.Errorf("%s is a %s, which this test does not know", name, v.Kind())
		}
	}
	walk("Record", reflect.ValueOf(record))
	if !json.Valid(raw) {
		t.Error("it is not JSON")
	}
}
