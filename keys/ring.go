package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Config is what a Ring needs.
type Config struct {
	Store  Store
	Master *Master
	Log    *slog.Logger

	// RotateEvery is how long a key signs; default 30 days, 0 means the default,
	// negative never rotates by itself.
	RotateEvery time.Duration
	// PublishBefore is how long a key is in the JWKS before it signs, so that
	// clients that cache it know the key; default 24 hours.
	PublishBefore time.Duration
	// RetireFor is how long a retired key stays in the JWKS: the longest life of
	// a token that it signed, and how long an expired ID token is accepted as a
	// hint; default 7 days.
	RetireFor time.Duration
}

// algorithms are what a ring keeps keys for, the default first.
var algorithms = []string{"RS256", "ES256", "EdDSA"}

// Ring is the set of signing keys in use. It is safe for concurrent use.
type Ring struct {
	Config
	mu  sync.Mutex // one change at a time
	now atomic.Pointer[snapshot]
}

// snapshot is the set at one time, ready for use.
type snapshot struct {
	version uint64
	records []Record
	active  map[string]jose.SigningKey // by algorithm
	signers sync.Map                   // algorithm and typ -> jose.Signer, made when first asked for
	public  map[string]jose.JSONWebKey // by kid
	jwks    []byte
}

// Errors of OpenRing and Rotate.
var (
	// ErrUnreadable says that the set exists and cannot be used. New keys are
	// never made in its place.
	ErrUnreadable = errors.New("keys: the stored signing keys cannot be read")
	// ErrTooYoung says that the next key has not been published long enough.
	ErrTooYoung = errors.New("keys: the next key has not been published long enough for clients to know it")
)

// OpenRing loads the signing keys. They are made when none was ever stored, and
// only then: a set that exists and cannot be read is an error.
func OpenRing(ctx context.Context, c Config) (*Ring, error) {
	if c.Store == nil || c.Master == nil || c.Log == nil {
		return nil, errors.New("keys: Store, Master and Log are required")
	}
	if c.RotateEvery == 0 {
		c.RotateEvery = 30 * 24 * time.Hour
	}
	if c.PublishBefore <= 0 {
		c.PublishBefore = 24 * time.Hour
	}
	if c.RetireFor <= 0 {
		c.RetireFor = 7 * 24 * time.Hour
	}
	r := &Ring{Config: c}
	if err := r.reload(ctx); err != nil {
		return nil, err
	}
	for _, alg := range algorithms {
		if _, ok := r.now.Load().active[alg]; ok {
			continue
		}
		if err := r.change(ctx, func(records []Record, now time.Time) ([]Record, error) { return r.complete(records, alg, now) }); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// complete gives an algorithm its first two keys: one that signs at once,
// because nobody can have cached a set before it existed, and the next.
func (r *Ring) complete(records []Record, alg string, now time.Time) ([]Record, error) {
	for _, k := range records {
		if k.Algorithm == alg && k.State == Active {
			return records, nil
		}
	}
	active, err := r.make(alg, Active, now)
	if err != nil {
		return nil, err
	}
	next, err := r.make(alg, Next, now)
	if err != nil {
		return nil, err
	}
	return append(records, active, next), nil
}

// reload takes the stored set into use.
func (r *Ring) reload(ctx context.Context) error {
	records, version, err := r.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	s, err := r.snapshotOf(records, version)
	if err != nil {
		return err
	}
	r.now.Store(s)
	return nil
}

// change makes a new set from the stored one, and tries again when somebody else
// was faster.
func (r *Ring) change(ctx context.Context, next func([]Record, time.Time) ([]Record, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		records, version, err := r.Store.SigningKeys(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		if _, err := r.snapshotOf(records, version); err != nil {
			return err
		}
		changed, err := next(append([]Record(nil), records...), time.Now())
		if err != nil {
			return err
		}
		err = r.Store.ReplaceSigningKeys(ctx, changed, version)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		return r.reload(ctx)
	}
}

// Rotate makes the next key of each algorithm sign, retires the one that did,
// and publishes a new next one. A next key younger than PublishBefore is
// ErrTooYoung, unless force says that clients may fail until they fetch the
// JWKS again.
func (r *Ring) Rotate(ctx context.Context, force bool) error {
	err := r.change(ctx, func(records []Record, now time.Time) ([]Record, error) {
		var err error
		for _, alg := range algorithms {
			if records, err = r.rotate(records, alg, now, force); err != nil {
				return nil, err
			}
		}
		return records, nil
	})
	if err == nil {
		r.Log.InfoContext(ctx, "signing keys rotated")
	}
	return err
}

func (r *Ring) rotate(records []Record, alg string, now time.Time, force bool) ([]Record, error) {
	for _, k := range records {
		if k.Algorithm == alg && k.State == Next && now.Sub(k.Created) < r.PublishBefore && !force {
			return nil, fmt.Errorf("%w: the next %s key may sign from %s", ErrTooYoung, alg, k.Created.Add(r.PublishBefore).UTC().Format(time.RFC3339))
		}
	}
	for i := range records {
		k := &records[i]
		if k.Algorithm != alg {
			continue
		}
		switch k.State {
		case Active:
			k.State, k.Retired = Retired, now
		case Next:
			k.State, k.Activated = Active, now
		}
	}
	next, err := r.make(alg, Next, now)
	if err != nil {
		return nil, err
	}
	return append(records, next), nil
}

// Run rotates on schedule and forgets keys whose last token has expired, until
// ctx ends. It also takes up what another process has changed.
func (r *Ring) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		if err := r.tend(ctx); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "the signing keys could not be tended", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (r *Ring) tend(ctx context.Context) error {
	if err := r.reload(ctx); err != nil {
		return err
	}
	now := time.Now()
	due := map[string]bool{}
	over := false
	for _, k := range r.now.Load().records {
		switch k.State {
		case Active:
			due[k.Algorithm] = r.RotateEvery > 0 && now.Sub(k.Activated) >= r.RotateEvery
		case Retired:
			over = over || now.Sub(k.Retired) >= r.RetireFor
		}
	}
	for _, alg := range algorithms {
		if !due[alg] {
			continue
		}
		err := r.change(ctx, func(records []Record, now time.Time) ([]Record, error) {
			for _, k := range records { // another process may have done it
				if k.Algorithm == alg && k.State == Active && now.Sub(k.Activated) < r.RotateEvery {
					return records, nil
				}
			}
			return r.rotate(records, alg, now, false)
		})
		if err != nil && !errors.Is(err, ErrTooYoung) {
			return err
		}
	}
	if !over {
		return nil
	}
	return r.change(ctx, func(records []Record, now time.Time) ([]Record, error) {
		kept := records[:0]
		for _, k := range records {
			if k.State != Retired || now.Sub(k.Retired) < r.RetireFor {
				kept = append(kept, k)
			}
		}
		return kept, nil
	})
}

// Info is what may be told about a key.
type Info struct {
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	State     State     `json:"state"`
	Created   time.Time `json:"created"`
	Activated time.Time `json:"activated,omitzero"`
	Retired   time.Time `json:"retired,omitzero"`
}

// Keys lists the set.
func (r *Ring) Keys() []Info {
	var all []Info
	for _, k := range r.now.Load().records {
		all = append(all, Info{ID: k.ID, Algorithm: k.Algorithm, State: k.State, Created: k.Created, Activated: k.Activated, Retired: k.Retired})
	}
	return all
}

// Algorithms are what Sign takes, the default first.
func (r *Ring) Algorithms() []string { return append([]string(nil), algorithms...) }

// Sign makes a JWS of payload in compact form with the active key of alg
// (RFC 7515 §7.1). typ is the header's typ: JWT, or a more explicit type
// (RFC 8725 §3.11).
func (r *Ring) Sign(alg, typ string, payload []byte) (string, error) {
	signer, err := r.now.Load().signer(alg, typ)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("keys: signing: %w", err)
	}
	return jws.CompactSerialize()
}

func (s *snapshot) signer(alg, typ string) (jose.Signer, error) {
	id := [2]string{alg, typ}
	if made, ok := s.signers.Load(id); ok {
		return made.(jose.Signer), nil
	}
	key, ok := s.active[alg]
	if !ok {
		return nil, fmt.Errorf("keys: no key for algorithm %q", alg)
	}
	made, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return nil, fmt.Errorf("keys: %s: %w", alg, err)
	}
	s.signers.Store(id, made)
	return made, nil
}

// Verify returns the payload of a compact JWS that one of the published keys has
// signed, with that key's own algorithm.
func (r *Ring) Verify(compact string) ([]byte, error) {
	var allowed []jose.SignatureAlgorithm
	for _, alg := range algorithms {
		allowed = append(allowed, jose.SignatureAlgorithm(alg))
	}
	jws, err := jose.ParseSignedCompact(compact, allowed)
	if err != nil {
		return nil, fmt.Errorf("keys: not a token of ours: %w", err)
	}
	header := jws.Signatures[0].Header
	key, ok := r.now.Load().public[header.KeyID]
	if !ok || key.Algorithm != header.Algorithm {
		return nil, errors.New("keys: the token names no key of ours")
	}
	return jws.Verify(key)
}

// JWKS is the public set, as JSON (RFC 7517 §5).
func (r *Ring) JWKS() []byte { return r.now.Load().jwks }

const privatePurpose Purpose = "signing key"

// make generates a key.
func (r *Ring) make(alg string, state State, now time.Time) (Record, error) {
	private, err := generate(alg)
	if err != nil {
		return Record{}, fmt.Errorf("keys: generating %s: %w", alg, err)
	}
	var id [12]byte
	rand.Read(id[:])
	record := Record{ID: base64.RawURLEncoding.EncodeToString(id[:]), Algorithm: alg, State: state, Created: now}
	if state == Active {
		record.Activated = now
	}
	record.Public, err = json.Marshal(jose.JSONWebKey{Key: private.Public(), KeyID: record.ID, Algorithm: alg, Use: "sig"})
	if err != nil {
		return Record{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Record{}, err
	}
	record.Sealed = r.Master.Seal(privatePurpose, der, []byte(record.ID))
	return record, nil
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case "RS256":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, errors.New("unknown algorithm")
}

const rsaBits = 2048

func (r *Ring) snapshotOf(records []Record, version uint64) (*snapshot, error) {
	s := &snapshot{version: version, records: records, active: map[string]jose.SigningKey{}, public: map[string]jose.JSONWebKey{}}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, record := range records {
		var public jose.JSONWebKey
		if err := json.Unmarshal(record.Public, &public); err != nil || !public.Valid() || !public.IsPublic() {
			return nil, fmt.Errorf("%w: key %s has no valid public part", ErrUnreadable, record.ID)
		}
		if size, ok := public.Key.(*rsa.PublicKey); ok && size.N.BitLen() != rsaBits {
			return nil, fmt.Errorf("%w: key %s has %d bits", ErrUnreadable, record.ID, size.N.BitLen())
		}
		s.public[record.ID] = public
		set.Keys = append(set.Keys, public)

		der, err := r.Master.Open(privatePurpose, record.Sealed, []byte(record.ID))
		if err != nil {
			return nil, fmt.Errorf("%w: key %s was sealed under another master key; point master_key_file at the key that the store was made with", ErrUnreadable, record.ID)
		}
		private, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, fmt.Errorf("%w: key %s", ErrUnreadable, record.ID)
		}
		if record.State != Active {
			continue
		}
		s.active[record.Algorithm] = jose.SigningKey{
			Algorithm: jose.SignatureAlgorithm(record.Algorithm),
			Key:       jose.JSONWebKey{Key: private, KeyID: record.ID, Algorithm: record.Algorithm},
		}
	}
	jwks, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	s.jwks = jwks
	return s, nil
}
