package keys_test

import (
	"encoding/base64"
	"testing"

	"calleridp/keys"
)

func TestRandomText(t *testing.T) {
	for _, n := range []int{12, 16, 32} {
		one, two := keys.RandomText(n), keys.RandomText(n)
		raw, err := base64.RawURLEncoding.Strict().DecodeString(one)
		if err != nil || len(raw) != n || one == two {
			t.Errorf("got %q and %q, %v, want two texts of %d bytes each", one, two, err, n)
		}
	}
}
