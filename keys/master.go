package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
)

// MasterSize is the size of a master key in bytes.
const MasterSize = 32

// Purpose separates the uses of the master key: what is sealed or
// authenticated for one purpose means nothing for another.
type Purpose string

// Master is the key under which everything else is sealed. All its methods may
// be called from many goroutines.
type Master struct {
	secret [MasterSize]byte
	aeads  sync.Map // Purpose -> cipher.AEAD
	macs   sync.Map // Purpose -> []byte
}

// ErrUnsealed says that a sealed value was made under another key, for another
// purpose or place, or was changed.
var ErrUnsealed = errors.New("keys: the sealed value does not open")

// NewMaster takes exactly MasterSize secret random bytes.
func NewMaster(secret []byte) (*Master, error) {
	if len(secret) != MasterSize {
		return nil, fmt.Errorf("master key: must be %d bytes (got %d)", MasterSize, len(secret))
	}
	m := &Master{}
	copy(m.secret[:], secret)
	return m, nil
}

// Fingerprint identifies the master key without telling anything about it, so
// that a store can say at start that it was written under another one.
func (m *Master) Fingerprint() string {
	k := m.derive("fingerprint")
	return hex.EncodeToString(k[:8])
}

// Seal encrypts and authenticates plain for one purpose and one place (ad, for
// example a record's key): AES-256-GCM with a random nonce in front.
func (m *Master) Seal(p Purpose, plain, ad []byte) []byte {
	aead := m.aead(p)
	box := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(box)
	return aead.Seal(box, box, plain, ad)
}

// Open undoes Seal, or returns ErrUnsealed.
func (m *Master) Open(p Purpose, box, ad []byte) ([]byte, error) {
	aead := m.aead(p)
	if len(box) < aead.NonceSize() {
		return nil, ErrUnsealed
	}
	plain, err := aead.Open(nil, box[:aead.NonceSize()], box[aead.NonceSize():], ad)
	if err != nil {
		return nil, ErrUnsealed
	}
	return plain, nil
}

// MAC authenticates the parts, whole and in this order (HMAC-SHA-256, each part
// preceded by its length). Engines use it as the keyed hash of phone numbers.
func (m *Master) MAC(p Purpose, parts ...[]byte) [32]byte {
	key, ok := m.macs.Load(p)
	if !ok {
		key, _ = m.macs.LoadOrStore(p, m.derive("mac/"+string(p)))
	}
	h := hmac.New(sha256.New, key.([]byte))
	var size [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	var sum [32]byte
	h.Sum(sum[:0])
	return sum
}

func (m *Master) aead(p Purpose) cipher.AEAD {
	if aead, ok := m.aeads.Load(p); ok {
		return aead.(cipher.AEAD)
	}
	block, err := aes.NewCipher(m.derive("seal/" + string(p)))
	if err != nil {
		panic(err) // the derived key always has a valid size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	kept, _ := m.aeads.LoadOrStore(p, aead)
	return kept.(cipher.AEAD)
}

func (m *Master) derive(label string) []byte {
	key, err := hkdf.Key(sha256.New, m.secret[:], nil, "calleridp/"+label, 32)
	if err != nil {
		panic(err) // only for absurd lengths
	}
	return key
}
