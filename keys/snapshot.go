// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// snapshot is one version of the set, ready for use. It is immutable.
type snapshot struct {
	version uint64
	records []Record
	signers map[string]signer          // by algorithm: the active key
	public  map[string]jose.JSONWebKey // by kid
	jwks    []byte
}

// snapshotOf opens every key and checks that the set is complete: one active key
// and one next key for each of algs.
func (r *Ring) snapshotOf(records []Record, version uint64, algs []string) (*snapshot, error) {
	s := &snapshot{
		version: version,
		records: records,
		signers: map[string]signer{},
		public:  map[string]jose.JSONWebKey{},
	}
	published := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	held := map[string]map[State]int{}
	for _, k := range records {
		private, err := r.unseal(k)
		if err != nil {
			return nil, fmt.Errorf("%w: key %s: %w", ErrUnreadable, k.ID, err)
		}
		// The JWKS has the public key that belongs to the private key, and not the
		// stored one, so that published keys always verify our signatures.
		public := jose.JSONWebKey{Key: private.Public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"}
		if !public.IsPublic() || !public.Valid() {
			return nil, fmt.Errorf("%w: key %s is not valid", ErrUnreadable, k.ID)
		}
		if !samePublic(k.Public, private.Public()) {
			return nil, fmt.Errorf("%w: the public and private halves of key %s differ; restore the store from a backup", ErrUnreadable, k.ID)
		}
		if _, twice := s.public[k.ID]; twice {
			return nil, fmt.Errorf("%w: key %s is a duplicate", ErrUnreadable, k.ID)
		}
		s.public[k.ID] = public
		if !slices.Contains(algs, k.Algorithm) {
			continue // it was turned off
		}
		published.Keys = append(published.Keys, public)
		if held[k.Algorithm] == nil {
			held[k.Algorithm] = map[State]int{}
		}
		held[k.Algorithm][k.State]++
		if k.State == Active {
			how, _ := algorithmOf(k.Algorithm) // unseal knows it
			s.signers[k.Algorithm] = signer{key: private, alg: how, kid: k.ID}
		}
	}
	for _, alg := range algs {
		if n := held[alg]; n[Active] != 1 || n[Next] != 1 {
			return nil, fmt.Errorf("%w: there are %d active and %d next keys for %s, not one of each; restore the store from a backup", ErrUnreadable, n[Active], n[Next], alg)
		}
	}
	var err error
	if s.jwks, err = json.Marshal(published); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return s, nil
}

// CheckRecords returns an error unless a server with this master key can sign with these
// keys. Its errors are ErrUnreadable.
func CheckRecords(master *Master, records []Record) error {
	r := &Ring{cfg: Config{Master: master}}
	_, err := r.snapshotOf(records, 0, nil)
	return err
}

// unseal returns the private key of a record.
func (r *Ring) unseal(k Record) (crypto.Signer, error) {
	plain, err := r.cfg.Master.Open(PurposePrivateKey, k.Sealed, []byte(k.ID))
	if err != nil {
		return nil, errors.New("it was sealed under another master key; give the master key that this store was made with (master_key_file, or CALLERIDP_MASTER_KEY), or restore the store that belongs to this one")
	}
	return parsePrivate(k.Algorithm, plain)
}

// samePublic reports whether the stored public JWK is this key.
func samePublic(stored []byte, public crypto.PublicKey) bool {
	var jwk jose.JSONWebKey
	if json.Unmarshal(stored, &jwk) != nil {
		return false
	}
	key, ok := jwk.Key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(public)
}

// JWKS returns the public keys of all three states as JSON (RFC 7517 §5). The
// caller must not change the bytes.
func (r *Ring) JWKS() []byte { return r.current.Load().jwks }
