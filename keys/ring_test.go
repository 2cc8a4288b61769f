package keys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// kept is a store in memory; the real ones run storagetest.
type kept struct {
	mu      sync.Mutex
	records []Record
	version uint64
	writes  int
}

func (k *kept) SigningKeys(context.Context) ([]Record, uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]Record(nil), k.records...), k.version, nil
}

func (k *kept) ReplaceSigningKeys(_ context.Context, records []Record, version uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if version != k.version {
		return ErrConflict
	}
	k.records, k.version, k.writes = append([]Record(nil), records...), version+1, k.writes+1
	return nil
}

func master(t *testing.T, fill byte) *Master {
	t.Helper()
	m, err := NewMaster(bytes.Repeat([]byte{fill}, MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t *testing.T, store Store) *Ring {
	t.Helper()
	r, err := OpenRing(t.Context(), Config{Store: store, Master: master(t, 1), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func states(r *Ring, alg string) string {
	count := map[State]int{}
	for _, k := range r.Keys() {
		if k.Algorithm == alg {
			count[k.State]++
		}
	}
	out := ""
	for _, s := range []State{Next, Active, Retired} {
		out += strings.Repeat(string(s[0]), count[s])
	}
	return out
}

func kid(t *testing.T, token string) string {
	t.Helper()
	jws, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{"RS256", "ES256", "EdDSA"})
	if err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Header.KeyID
}

func TestSignAndVerify(t *testing.T) {
	r := open(t, &kept{})
	for _, alg := range r.Algorithms() {
		token, err := r.Sign(alg, "JWT", []byte(`{"a":1}`))
		if err != nil {
			t.Fatal(err)
		}
		payload, err := r.Verify(token)
		if err != nil || string(payload) != `{"a":1}` {
			t.Errorf("%s: %s, %v", alg, payload, err)
		}
		// Somebody else, holding our JWKS and a token, verifies it too.
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(r.JWKS(), &set); err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		published := set.Key(kid(t, token))
		if len(published) != 1 {
			t.Fatalf("%s: kid is %d times in the JWKS", alg, len(published))
		}
		if _, err := jws.Verify(published[0]); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if typ := jws.Signatures[0].Header.ExtraHeaders["typ"]; typ != "JWT" {
			t.Errorf("typ %v", typ)
		}
		broken := token[:len(token)-8] + strings.Repeat("A", 8)
		if _, err := r.Verify(broken); err == nil {
			t.Errorf("%s: a broken signature verifies", alg)
		}
	}
	if _, err := r.Sign("HS256", "JWT", nil); err == nil {
		t.Error("HS256 signs")
	}
	for _, bad := range []string{"", "a.b.c", "eyJhbGciOiJub25lIn0.e30."} {
		if _, err := r.Verify(bad); err == nil {
			t.Errorf("%q verifies", bad)
		}
	}
	stranger := open(t, &kept{})
	foreign, err := stranger.Sign("RS256", "JWT", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(foreign); err == nil {
		t.Error("another provider's token verifies")
	}
}

// The key named by kid decides the algorithm, not the token.
func TestVerifyPinsTheAlgorithm(t *testing.T) {
	r := open(t, &kept{})
	token, err := r.Sign("ES256", "JWT", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	rs, err := r.Sign("RS256", "JWT", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	// RS256's header in front of the ES256 token.
	mixed := strings.SplitN(rs, ".", 2)[0] + "." + strings.SplitN(token, ".", 2)[1]
	if _, err := r.Verify(mixed); err == nil {
		t.Error("a token with another key's header verifies")
	}
}

func TestJWKSHasNoPrivateParts(t *testing.T) {
	r := open(t, &kept{})
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 6 {
		t.Fatalf("%d keys, want next and active of three algorithms", len(set.Keys))
	}
	kids := map[any]bool{}
	for _, key := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if key[private] != nil {
				t.Errorf("%v has %s", key["kid"], private)
			}
		}
		if key["use"] != "sig" || key["alg"] == nil || kids[key["kid"]] {
			t.Errorf("key %v", key)
		}
		kids[key["kid"]] = true
	}
}

func TestStoredPrivatePartsAreSealed(t *testing.T) {
	store := &kept{}
	open(t, store)
	for _, record := range store.records {
		// A PKCS #8 key in the clear has its algorithm's object identifier.
		for _, oid := range [][]byte{{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01}, {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01}, {0x2b, 0x65, 0x70}} {
			if bytes.Contains(record.Sealed, oid) {
				t.Errorf("%s key %s is not sealed", record.Algorithm, record.ID)
			}
		}
	}
}

func TestKeysAreMadeOnceOnly(t *testing.T) {
	store := &kept{}
	first := open(t, store)
	writes := store.writes
	second := open(t, store)
	if store.writes != writes || !bytes.Equal(first.JWKS(), second.JWKS()) {
		t.Error("a second start changed the keys")
	}
	// Another master key must stop the start, and change nothing.
	_, err := OpenRing(t.Context(), Config{Store: store, Master: master(t, 2), Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "master_key_file") {
		t.Errorf("another master key: %v", err)
	}
	store.records[0].Sealed[20] ^= 1
	if _, err := OpenRing(t.Context(), Config{Store: store, Master: master(t, 1), Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a damaged key: %v", err)
	}
	if store.writes != writes {
		t.Error("unreadable keys were replaced")
	}
}

func TestRotationOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		r := open(t, &kept{})
		sign := func() string {
			token, err := r.Sign("ES256", "JWT", []byte(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		before := sign()
		if err := r.Rotate(ctx, false); !errors.Is(err, ErrTooYoung) {
			t.Errorf("rotating at once: %v", err)
		}
		if kid(t, sign()) != kid(t, before) {
			t.Fatal("a refused rotation rotated")
		}
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		time.Sleep(30*24*time.Hour + 2*time.Minute) // fake time
		synctest.Wait()
		after := sign()
		if kid(t, after) == kid(t, before) {
			t.Error("not rotated after 30 days")
		}
		if got := states(r, "ES256"); got != "nar" {
			t.Errorf("states %s, want next, active, retired", got)
		}
		if _, err := r.Verify(before); err != nil {
			t.Errorf("a retired key's token: %v", err)
		}
		if !bytes.Contains(r.JWKS(), []byte(kid(t, before))) {
			t.Error("a retired key left the JWKS at once")
		}
		time.Sleep(7*24*time.Hour + 2*time.Minute)
		synctest.Wait()
		if got := states(r, "ES256"); got != "na" {
			t.Errorf("states %s a week later, want next, active", got)
		}
		if _, err := r.Verify(before); err == nil {
			t.Error("a forgotten key's token verifies")
		}
		stop()
		<-done
	})
}

// A key that signs was in the JWKS before: whoever fetched it then can verify.
func TestNextKeyIsPublishedBeforeItSigns(t *testing.T) {
	r := open(t, &kept{})
	cached := r.JWKS()
	if err := r.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	for _, alg := range r.Algorithms() {
		token, err := r.Sign(alg, "JWT", []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(cached, []byte(kid(t, token))) {
			t.Errorf("%s: the key that signs now was not published before", alg)
		}
	}
}

// Two processes that rotate in the same moment leave one active and one next
// key, and agree.
func TestConcurrentRotation(t *testing.T) {
	store := &kept{}
	rings := []*Ring{open(t, store), open(t, store)}
	var wg sync.WaitGroup
	for range 2 {
		for _, r := range rings {
			wg.Go(func() {
				if err := r.Rotate(t.Context(), true); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for _, r := range rings {
		if err := r.reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, alg := range r.Algorithms() {
			if got := states(r, alg); !strings.HasPrefix(got, "nar") || strings.Count(got, "a") != 1 || strings.Count(got, "n") != 1 {
				t.Errorf("%s: states %s", alg, got)
			}
		}
	}
	if !bytes.Equal(rings[0].JWKS(), rings[1].JWKS()) {
		t.Error("the two disagree")
	}
}

func TestMaster(t *testing.T) {
	m := master(t, 1)
	box := m.Seal("a", []byte("secret"), []byte("place"))
	if plain, err := m.Open("a", box, []byte("place")); err != nil || string(plain) != "secret" {
		t.Fatalf("%q, %v", plain, err)
	}
	broken := bytes.Clone(box)
	broken[len(broken)-1] ^= 1
	for what, try := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return m.Open("b", box, []byte("place")) },
		"another place":   func() ([]byte, error) { return m.Open("a", box, []byte("elsewhere")) },
		"another key":     func() ([]byte, error) { return master(t, 2).Open("a", box, []byte("place")) },
		"changed":         func() ([]byte, error) { return m.Open("a", broken, []byte("place")) },
		"cut short":       func() ([]byte, error) { return m.Open("a", box[:5], []byte("place")) },
	} {
		if plain, err := try(); !errors.Is(err, ErrUnsealed) || plain != nil {
			t.Errorf("%s: %q, %v", what, plain, err)
		}
	}
	if m.MAC("a", []byte("x"), []byte("y")) == m.MAC("a", []byte("xy")) || m.MAC("a", []byte("x")) == m.MAC("b", []byte("x")) {
		t.Error("MACs of different parts or purposes are equal")
	}
	if m.Fingerprint() == master(t, 2).Fingerprint() || m.Fingerprint() != master(t, 1).Fingerprint() {
		t.Error("fingerprints")
	}
}

func TestMasterFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "master.key")
	if _, err := LoadMaster(file); !errors.Is(err, ErrNoMaster) || !strings.Contains(err.Error(), "calleridp keys init-master --out "+file) {
		t.Errorf("a missing file: %v", err)
	}
	if err := CreateMaster(file); err != nil {
		t.Fatal(err)
	}
	first, err := LoadMaster(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := CreateMaster(file); err == nil {
		t.Error("the master key was overwritten")
	}
	if again, err := LoadMaster(file); err != nil || again.Fingerprint() != first.Fingerprint() {
		t.Errorf("%v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, same := range []string{
		"0101010101010101010101010101010101010101010101010101010101010101",
		" AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n",
		"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
	} {
		if m, err := ParseMaster(same); err != nil || m.Fingerprint() != master(t, 1).Fingerprint() {
			t.Errorf("%q: %v", same, err)
		}
	}
	for _, bad := range []string{"", "short", strings.Repeat("é", 32), "AQEB"} {
		if _, err := ParseMaster(bad); err == nil {
			t.Errorf("%q is a master key", bad)
		}
	}
}
