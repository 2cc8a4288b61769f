// SPDX-License-Identifier: Apache-2.0

package idtoken_test

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/clientkeys"
	"calleridp/provider/idtoken"
	"calleridp/provider/internal/testworld"
)

// Whatever a client has registered as its keys, its userinfo is a JWE, or there is none.
func FuzzEncryptionKey(f *testing.F) {
	const ec = `{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	modulus := base64.RawURLEncoding.EncodeToString(append(append([]byte{0xff}, make([]byte, 254)...), 1))
	f.Add(`{"keys":[`+ec+`]}`, byte(1), byte(0))
	f.Add(`{"keys":[`+ec+`,{"kty":"RSA","e":"AQAB","n":"`+modulus+`","use":"enc"}]}`, byte(0), byte(3))
	f.Add(`{"keys":[{"kty":"EC","crv":"P-521","x":"AA","y":"AA"},{"kty":"RSA","e":"Aw","n":"AQ","use":"enc"}]}`, byte(2), byte(1))
	f.Add(`{"keys":[{"kty":"OKP","crv":"X25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}]}`, byte(3), byte(2))
	issuer := idtoken.New(idtoken.Config{ // nothing is signed
		Clients: clientkeys.New(nil, slog.New(slog.DiscardHandler)),
		Audit:   audit.Discard,
	})
	f.Fuzz(func(t *testing.T, set string, alg, enc byte) {
		c := client.Client{ID: "app", Keys: set, Responses: client.Responses{Userinfo: client.Encryption{
			Alg: client.EncryptionAlgorithms[int(alg)%len(client.EncryptionAlgorithms)],
			Enc: client.ContentEncryptions[int(enc)%len(client.ContentEncryptions)],
		}}}
		got, err := issuer.Userinfo(t.Context(), c, []byte(`{"sub":"secret"}`))
		if _, unreadable := client.ParseKeys([]byte(set)); err != nil {
			if got != "" || unreadable == nil && !errors.Is(err, idtoken.ErrNoEncryptionKey) {
				t.Errorf("got %q and %v, want nothing and %v", got, err, idtoken.ErrNoEncryptionKey)
			}
			return
		}
		if strings.Count(got, ".") != 4 {
			t.Errorf("got %q, want a JWE", got)
		}
	})
}

// A client whose registration asks for what the deployment has turned off gets nothing.
func TestUnsignedIsTurnedOff(t *testing.T) {
	s := signIn(client.Client{ID: "app", IDTokenAlg: client.AlgNone}, testworld.Seconds(1_800_000_000.0))
	if got, err := issuer("https://id.example").Token(t.Context(), s); err == nil {
		t.Errorf("got %q, want no ID token without a signature", got)
	}
	if got, err := issuer("https://id.example").Userinfo(t.Context(), client.Client{ID: "app"}, []byte("{}")); err == nil {
		t.Errorf("got %q, want no userinfo that is neither signed nor encrypted", got)
	}
}
