// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"sync/atomic"
)

// Sizes of XAES-256-GCM in bytes.
const (
	xaesNonceSize = 24
	xaesTagSize   = 16
)

// xaes is XAES-256-GCM (https://c2sp.org/XAES-256-GCM): AES-256-GCM with a nonce
// of 192 bits. Half of the nonce derives a key; the other half is the nonce of
// AES-256-GCM under that key.
//
// The longer nonce is why one key may seal without a limit in time. Under AES-256-GCM alone,
// whose random nonces have 96 bits, NIST SP 800-38D §8.3 allows 2^32 messages
// under one key: after them two nonces are the same with a probability above
// 2^-32, and two equal nonces give away the authentication key. Any visitor can
// make the authorization endpoint seal a request, and at 1,000 a second there
// are 2^32 after 50 days. With 192 bits that probability is reached after 2^80
// messages.
//
// Deriving a key for each message would cost more than sealing it. So the first half
// of the nonce is drawn at random for an epoch of epochMessages messages, and the
// second half for each of them. Two epochs have the same first half, and so one key,
// with a probability of 2^-96. Even then, two of their nonces are the same with a
// probability below 2^-46. The result opens as XAES-256-GCM.
type xaes struct {
	block  cipher.Block
	subkey [aes.BlockSize]byte // K1 of CMAC (NIST SP 800-38B §6.1), the same for all messages

	sealing atomic.Pointer[epoch]
	opening [8]atomic.Pointer[epoch] // recent ones, by the first byte of their prefix
}

// epochMessages is how many messages an epoch seals at most: two of their nonces are
// the same with a probability below 2^-48.
const epochMessages = 1 << 24

// xaesPrefixSize is the half of the nonce that derives a key, in bytes.
const xaesPrefixSize = 12

// epoch is a prefix of nonces with the cipher that it derives.
type epoch struct {
	prefix [xaesPrefixSize]byte
	aead   cipher.AEAD
	sealed atomic.Uint32 // messages
}

func (x *xaes) newEpoch(prefix []byte) *epoch {
	e := &epoch{aead: x.gcm(prefix)}
	copy(e.prefix[:], prefix)
	return e
}

func newXAES(key []byte) *xaes {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // a derived key always has a valid size
	}
	x := &xaes{block: block}
	k1 := &x.subkey
	block.Encrypt(k1[:], k1[:])
	carry := byte(0)
	for i := len(k1) - 1; i >= 0; i-- {
		k1[i], carry = k1[i]<<1|carry, k1[i]>>7
	}
	k1[len(k1)-1] ^= carry * 0b1000_0111
	return x
}

// gcm returns AES-256-GCM under the key that the first half of a nonce derives:
// the counter mode of NIST SP 800-108r1 §4.1, with CMAC on a single block.
func (x *xaes) gcm(nonce []byte) cipher.AEAD {
	var derived [2 * aes.BlockSize]byte
	for i := range 2 {
		part := derived[i*aes.BlockSize : (i+1)*aes.BlockSize]
		part[1], part[2] = byte(i+1), 'X'
		copy(part[4:], nonce)
		subtle.XORBytes(part, part, x.subkey[:])
		x.block.Encrypt(part, part)
	}
	block, err := aes.NewCipher(derived[:])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// seal returns a random nonce, the ciphertext and the tag.
func (x *xaes) seal(plain, ad []byte) []byte {
	box := make([]byte, xaesNonceSize, xaesNonceSize+len(plain)+xaesTagSize)
	e := x.current()
	copy(box, e.prefix[:])
	rand.Read(box[xaesPrefixSize:])
	return e.aead.Seal(box, box[xaesPrefixSize:xaesNonceSize], plain, ad)
}

// current returns the epoch that seals, and counts a message.
func (x *xaes) current() *epoch {
	for {
		e := x.sealing.Load()
		if e != nil && e.sealed.Add(1) <= epochMessages {
			return e
		}
		prefix := make([]byte, xaesPrefixSize)
		rand.Read(prefix)
		x.sealing.CompareAndSwap(e, x.newEpoch(prefix))
	}
}

// open undoes seal, or returns ErrUnsealed.
func (x *xaes) open(box, ad []byte) ([]byte, error) {
	if len(box) < xaesNonceSize+xaesTagSize {
		return nil, ErrUnsealed
	}
	nonce, sealed := box[:xaesNonceSize], box[xaesNonceSize:]
	prefix := nonce[:xaesPrefixSize]
	recent := &x.opening[prefix[0]%byte(len(x.opening))]
	e := recent.Load()
	known := e != nil && bytes.Equal(e.prefix[:], prefix)
	if !known {
		e = x.newEpoch(prefix)
	}
	plain, err := e.aead.Open(nil, nonce[xaesPrefixSize:], sealed, ad)
	if err != nil {
		return nil, ErrUnsealed
	}
	if !known { // only what was sealed here is remembered
		recent.Store(e)
	}
	return plain, nil
}
