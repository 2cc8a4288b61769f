// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/provider/account"
	"calleridp/provider/subject"
	"calleridp/storage/storagetest"
	"calleridp/truecaller/phone"
)

// The file has everything that is stored, except credentials. A field that is added
// to a record must be in it, too.
func TestDownloadIsComplete(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	record := storagetest.Filled[subject.Record](now)
	raw, err := account.Export(record, "https://id.example", now)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	// Left out are credentials, what says nothing about the user, and repetitions of
	// the sub.
	left := map[string]bool{
		"Record.Sessions.Secret":   true,
		"Record.Grants.Nonce":      true,
		"Record.Grants.Generation": true,
		"Record.Grants.Repeats":    true,
		"Record.Sessions.Sub":      true,
		"Record.Grants.Sub":        true,
		"Record.Consents.Sub":      true,
		"Record.Known.Sub":         true,
	}
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
				t.Errorf("%s: got %s in the file, want it left out", name, want)
			}
		case want != "":
			if !strings.Contains(text, want) {
				t.Errorf("%s: got\n%s\nwant %s in the file", name, text, want)
			}
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(name, v.Index(i))
			}
		case v.Kind() == reflect.Uint32:
			if want := fmt.Sprintf("\"signed_out_everywhere\": %d,", v.Uint()); v.Uint() == 0 || !strings.Contains(text, want) {
				t.Errorf("%s: got\n%s\nwant %s in the file", name, text, want)
			}
		case v.Kind() == reflect.Bool: // true in the record, and under a name of its own
			if strings.Count(text, ": true") < 5 { // yours, inactive, revoked, offline, known
				t.Errorf("%s: got\n%s\nwant five members that are true", name, text)
			}
		default:
			t.Errorf("%s: got a %s, want a kind that this test knows", name, v.Kind())
		}
	}
	walk("Record", reflect.ValueOf(record))
	var file struct {
		Issuer     string    `json:"issuer"`
		Downloaded time.Time `json:"downloaded_at"`
		Profile    struct {
			Inactive bool `json:"inactive"`
		} `json:"truecaller_profile"`
		Grants []struct {
			Revoked bool `json:"revoked"`
			Offline bool `json:"offline_access"`
		} `json:"grants"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatalf("file: got\n%s, %v, want JSON", text, err)
	}
	if file.Issuer != "https://id.example" || !file.Downloaded.Equal(now) || !file.Profile.Inactive {
		t.Errorf("file: got %+v, want the issuer, the time and the account inactive", file)
	}
	if len(file.Grants) != len(record.Grants) {
		t.Errorf("got %d grants, want %d", len(file.Grants), len(record.Grants))
	}
	for _, g := range file.Grants {
		if !g.Revoked || !g.Offline {
			t.Errorf("grant: got %+v, want it revoked, with offline access", g)
		}
	}
}

// Of a user who has none, the file has empty lists: a program that reads it need not
// know another way to write nothing.
func TestDownloadOfNothingHasEmptyLists(t *testing.T) {
	raw, err := account.Export(subject.Record{}, "https://id.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sessions", "consents", "grants"} {
		if !strings.Contains(string(raw), `"`+name+`": []`) {
			t.Errorf("%s: got\n%s\nwant an empty list", name, raw)
		}
	}
}
