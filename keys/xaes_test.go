// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"sync"
	"testing"
)

// sealWith seals with a nonce that a vector names.
func sealWith(x *xaes, nonce, plain, ad []byte) []byte {
	e := x.newEpoch(nonce[:xaesPrefixSize])
	return e.aead.Seal(bytes.Clone(nonce), nonce[xaesPrefixSize:], plain, ad)
}

// The two vectors of the specification: the first bit of L is 0 in one, 1 in the
// other.
func TestXAESVectors(t *testing.T) {
	nonce, plain := []byte("ABCDEFGHIJKLMNOPQRSTUVWX"), []byte("XAES-256-GCM")
	for _, row := range []struct {
		key                 byte
		ad, subkey, sealing string
	}{
		{1, "", "e531954aca063d5b8d9c47a47d4cc6f0", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "23810ec50edb99f374409466ed1f4b7b", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x := newXAES(bytes.Repeat([]byte{row.key}, 32))
		if got := hex.EncodeToString(x.subkey[:]); got != row.subkey {
			t.Errorf("key %d: the subkey is %s, want %s", row.key, got, row.subkey)
		}
		box := sealWith(x, nonce, plain, []byte(row.ad))
		if got := hex.EncodeToString(box[len(nonce):]); got != row.sealing {
			t.Errorf("key %d: got %s, want %s", row.key, got, row.sealing)
		}
		if got, err := x.open(box, []byte(row.ad)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("key %d: opening gave %q, %v, want %q", row.key, got, err, plain)
		}
	}
}

// The specification's accumulated test of 10,000 random messages.
func TestXAESAccumulated(t *testing.T) {
	source, sum := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	random := func(n int) []byte {
		b := make([]byte, n)
		source.Read(b)
		return b
	}
	for range 10_000 {
		x := newXAES(random(32))
		nonce := random(xaesNonceSize)
		plain := random(int(random(1)[0]))
		ad := random(int(random(1)[0]))
		box := sealWith(x, nonce, plain, ad)
		if got, err := x.open(box, ad); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opening gave %x, %v, want %x", got, err, plain)
		}
		sum.Write(box[xaesNonceSize:])
	}
	var got [32]byte
	sum.Read(got[:])
	const want = "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

// What does not authenticate evicts no epoch from those that are remembered: an
// attacker could otherwise make each box of ours cost a derivation.
func TestThreat_AForgedBoxEvictsNoEpoch(t *testing.T) {
	x := newXAES(bytes.Repeat([]byte{5}, 32))
	box := x.seal([]byte("plain"), nil)
	if _, err := x.open(box, nil); err != nil {
		t.Fatal(err)
	}
	recent := &x.opening[box[0]%byte(len(x.opening))]
	before := recent.Load()
	if before == nil || !bytes.Equal(before.prefix[:], box[:xaesPrefixSize]) {
		t.Fatalf("got %v, want the epoch of the box remembered", before)
	}
	forged := bytes.Clone(box)
	forged[1] ^= 1 // another prefix, for the same place
	if _, err := x.open(forged, nil); err == nil {
		t.Fatal("a forged box opens")
	}
	if recent.Load() != before {
		t.Error("a forged box has evicted an epoch")
	}
}

// No two messages have the same nonce, also when an epoch ends while many seal; and
// what any epoch sealed opens, whichever are remembered.
func TestXAESEpochs(t *testing.T) {
	x := newXAES(bytes.Repeat([]byte{5}, 32))
	var boxes [][]byte
	prefixes, nonces := map[string]bool{}, map[string]bool{}
	var mu sync.Mutex
	x.seal(nil, nil)
	for range 40 { // more epochs than are remembered, each of which ends in its round
		x.sealing.Load().sealed.Store(epochMessages - 2)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 8 {
					box := x.seal([]byte("plain"), []byte("ad"))
					mu.Lock()
					boxes = append(boxes, box)
					prefixes[string(box[:xaesPrefixSize])] = true
					nonces[string(box[:xaesNonceSize])] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	if len(nonces) != len(boxes) {
		t.Errorf("got %d nonces for %d messages", len(nonces), len(boxes))
	}
	if len(prefixes) < 20 {
		t.Errorf("got %d epochs, want one after each end", len(prefixes))
	}
	for _, box := range boxes {
		if got, err := x.open(box, []byte("ad")); err != nil || string(got) != "plain" {
			t.Fatalf("opening gave %q, %v", got, err)
		}
		if _, err := x.open(box, []byte("another")); err == nil {
			t.Fatal("another place opens it")
		}
	}
}
