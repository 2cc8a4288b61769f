// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// MasterSize is the size of a master key in bytes.
const MasterSize = 32

// Master is the master key. Each purpose has a key derived from it. It is safe for
// concurrent use.
type Master struct {
	secret [MasterSize]byte
	seals  sync.Map // Purpose -> *xaes
	macs   sync.Map // Purpose -> []byte
}

// Format and LogValue keep the key out of logs.
func (*Master) Format(f fmt.State, _ rune) { io.WriteString(f, masterName) }
func (*Master) LogValue() slog.Value       { return slog.StringValue(masterName) }

const masterName = "the master key"

// ErrUnsealed means that a value was sealed under another master key, for another
// purpose or place, or was changed.
var ErrUnsealed = errors.New("keys: the sealed value does not open")

// NewMaster returns the master key made of exactly MasterSize secret random bytes.
func NewMaster(secret []byte) (*Master, error) {
	if len(secret) != MasterSize {
		return nil, fmt.Errorf("master key: must be %d bytes (got %d)", MasterSize, len(secret))
	}
	m := &Master{}
	copy(m.secret[:], secret)
	return m, nil
}

// Fingerprint identifies the master key without revealing anything about it. A
// store uses it to recognise at start that it was written under another one.
func (m *Master) Fingerprint() string {
	k := m.derive("fingerprint")
	return hex.EncodeToString(k[:8])
}

// Seal encrypts and authenticates plain for one purpose and one place (ad, for
// example a record's key): XAES-256-GCM with a random nonce in front. There is no
// limit on how many values a master key may seal; xaes says why.
func (m *Master) Seal(p Purpose, plain, ad []byte) []byte {
	return m.xaes(p).seal(plain, ad)
}

// Open undoes Seal, or returns ErrUnsealed.
func (m *Master) Open(p Purpose, box, ad []byte) ([]byte, error) {
	return m.xaes(p).open(box, ad)
}

// MAC returns an HMAC-SHA-256 of the parts, each preceded by its length, so that
// it authenticates the parts in this order. Stores also use it as a keyed hash.
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

// xaes returns the cipher of a purpose, which is made once.
func (m *Master) xaes(p Purpose) *xaes {
	if x, ok := m.seals.Load(p); ok {
		return x.(*xaes)
	}
	x, _ := m.seals.LoadOrStore(p, newXAES(m.derive("seal/"+string(p))))
	return x.(*xaes)
}

func (m *Master) derive(label string) []byte {
	key, err := hkdf.Key(sha256.New, m.secret[:], nil, "calleridp/"+label, 32)
	if err != nil {
		panic(err) // only for absurd lengths
	}
	return key
}
