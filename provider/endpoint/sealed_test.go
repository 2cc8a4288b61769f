package endpoint

import (
	"reflect"
	"testing"

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
