// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"encoding/base64"
	"errors"
	"reflect"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/internal/splice"
)

// form is what a sealed request may look like.
type form struct {
	ClientID string   `json:"c"`
	Scopes   []string `json:"s"`
	Until    int64    `json:"e"`
}

// Only what was sealed here, for this purpose, opens; and it is the same.
func FuzzUnseal(f *testing.F) {
	master, err := keys.NewMaster(make([]byte, keys.MasterSize))
	if err != nil {
		f.Fatal(err)
	}
	const purpose, other keys.Purpose = "one purpose", "another"
	good := &form{ClientID: "app", Scopes: []string{"openid"}, Until: 7}
	sealed, err := Seal(master, purpose, good)
	if err != nil {
		f.Fatal(err)
	}
	splice.Seed(f)
	f.Fuzz(func(t *testing.T, piece string, at, out uint8) {
		text := splice.At(sealed, piece, at, out)
		got := new(form)
		err := Unseal(master, purpose, text, got)
		if (err == nil) != (text == sealed) || err == nil && !reflect.DeepEqual(got, good) {
			t.Fatalf("%q: got %+v, %v, want opened %v", text, got, err, text == sealed)
		}
		if err := Unseal(master, other, text, got); err == nil {
			t.Fatalf("%q for another purpose: got no error, want one", text)
		}
	})
}

// Each box has one encoding: what opens is what was given out, to the letter.
func TestABoxHasOneEncoding(t *testing.T) {
	master, err := keys.NewMaster(make([]byte, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	const purpose keys.Purpose = "one purpose"
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	spare := 0
	for _, id := range []string{"a", "ab", "abc"} { // each leaves other bits of the last character over
		sealed, err := Seal(master, purpose, form{ClientID: id})
		if err != nil {
			t.Fatal(err)
		}
		half := len(sealed) / 2
		others := []string{
			sealed + "=", sealed + "==", sealed + "\n", "\n" + sealed, sealed + " ",
			sealed[:half] + "\r\n" + sealed[half:], sealed[:half] + "\n" + sealed[half:], sealed[:half] + "\r" + sealed[half:],
		}
		box, err := base64.RawURLEncoding.DecodeString(sealed)
		if err != nil {
			t.Fatal(err)
		}
		for _, last := range alphabet { // characters that differ in the bits that are left over only
			other := sealed[:len(sealed)-1] + string(last)
			if same, err := base64.RawURLEncoding.DecodeString(other); err == nil && bytes.Equal(same, box) && other != sealed {
				others = append(others, other)
				spare++
			}
		}
		for _, other := range others {
			if err := Unseal(master, purpose, other, new(form)); !errors.Is(err, ErrBadRequest) {
				t.Errorf("%q for %q: got %v, want %v", other, sealed, err, ErrBadRequest)
			}
		}
		if err := Unseal(master, purpose, sealed, new(form)); err != nil {
			t.Errorf("%q: got %v, want it opened", sealed, err)
		}
	}
	if spare != 3+15 {
		t.Errorf("got %d boxes with other spare bits, want 18", spare)
	}
}

func (f *form) Expiry() int64 { return f.Until }

// A box opens until the second in which it expires. An expired one is opened, so that
// its error page speaks its language.
func TestOpenExpires(t *testing.T) {
	master, err := keys.NewMaster(make([]byte, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	const purpose keys.Purpose = "one purpose"
	now := time.Date(2026, 11, 29, 12, 0, 0, 900_000_000, time.UTC)
	for after, want := range map[int64]error{1: nil, 0: ErrRequestExpired, -1: ErrRequestExpired} {
		made := form{ClientID: "app", Until: now.Unix() + after}
		sealed, err := Seal(master, purpose, made)
		if err != nil {
			t.Fatal(err)
		}
		var got form
		if err := Open(master, purpose, sealed, &got, now); err != want || !reflect.DeepEqual(got, made) {
			t.Errorf("expires after %d s: got %+v, %v, want %+v, %v", after, got, err, made, want)
		}
	}
	if err := Open(master, purpose, "nonsense", new(form), now); err != ErrBadRequest {
		t.Errorf("nonsense: got %v, want %v", err, ErrBadRequest)
	}
}
