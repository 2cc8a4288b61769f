// SPDX-License-Identifier: Apache-2.0

package idtoken

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"

	"calleridp/keys"
	"calleridp/provider/client"
)

// A pairwise client shares no identifier with clients of another sector (OpenID
// Connect Core §8.1): neither the user's sub nor the session's sid. Whatever tells
// a client one of them gets it here.

// Subject returns the user's sub as the client knows it: their own, or for a
// pairwise client one that means nothing to clients of another sector.
func (i *Issuer) Subject(c client.Client, sub string) string {
	if !c.Pairwise {
		return sub
	}
	mac := i.cfg.Master.MAC(keys.PurposePairwiseSub, []byte(c.Sector()), []byte(sub))
	return base64.RawURLEncoding.EncodeToString(mac[:])
}

// SID returns a session's ID as the client knows it: the ID itself, or for a
// pairwise client one of the same form that means nothing to clients of another
// sector. "" stays "", and so does what is not the ID of a session.
func (i *Issuer) SID(c client.Client, sessionID string) string {
	if !c.Pairwise {
		return sessionID
	}
	return i.permuted(c, sessionID, cipher.Block.Encrypt)
}

// SessionID undoes SID for the same client: "" for what cannot be a sid.
func (i *Issuer) SessionID(c client.Client, sid string) string {
	if !c.Pairwise {
		return sid
	}
	return i.permuted(c, sid, cipher.Block.Decrypt)
}

// permuted maps the 16 random bytes of an ID to others by AES under a key of the
// client's sector. A single block of it is a permutation, so that nothing has to be
// stored to find the session of a sid.
func (i *Issuer) permuted(c client.Client, id string, by func(b cipher.Block, dst, src []byte)) string {
	in, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err != nil || len(in) != aes.BlockSize {
		return ""
	}
	key := i.cfg.Master.MAC(keys.PurposePairwiseSID, []byte(c.Sector()))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return "" // a MAC has the size of a key
	}
	out := make([]byte, aes.BlockSize)
	by(block, out, in)
	return base64.RawURLEncoding.EncodeToString(out)
}
