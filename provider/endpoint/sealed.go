// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"calleridp/keys"
)

// Errors of sealed requests.
var (
	// ErrBadRequest means that the sealed request does not open, or cannot be used.
	ErrBadRequest = errors.New("endpoint: the sealed request does not open")
	// ErrRequestExpired means that the sealed request is too old.
	ErrRequestExpired = errors.New("endpoint: the sealed request has expired")
)

// MaxRequest is how large a request may be as it is sealed and kept, in bytes. A form
// that holds one stays well below what is read of a form, and an attacker cannot fill
// the disk by what an attempt keeps.
const MaxRequest = 8 << 10

// maxAdded is what a request may grow by after Fits: by its expiry, and by the browser
// that submits it.
const maxAdded = 256

// Fits reports whether a validated request is small enough to be sealed and kept.
func Fits(request any) bool {
	encoded, err := Encode(request)
	return err == nil && len(encoded) <= MaxRequest-maxAdded
}

// Encode returns v as it is sealed: JSON without the escapes that only HTML needs,
// which make six bytes of one.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Box is what travels sealed in a form or a cookie, and expires.
type Box interface {
	// Expiry returns when it expires, in seconds since 1970.
	Expiry() int64
}

// Live returns ErrRequestExpired for a box that has expired.
func Live(b Box, now time.Time) error {
	if now.Unix() >= b.Expiry() {
		return ErrRequestExpired
	}
	return nil
}

// Seal encrypts v for a form: nothing is stored for a page (invariant 1).
func Seal(master *keys.Master, purpose keys.Purpose, v any) (string, error) {
	plain, err := Encode(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(master.Seal(purpose, plain, nil)), nil
}

// Open undoes Seal. It also opens a box that has expired, and returns
// ErrRequestExpired. Other errors are those of Unseal.
func Open(master *keys.Master, purpose keys.Purpose, sealed string, b Box, now time.Time) error {
	if err := Unseal(master, purpose, sealed, b); err != nil {
		return err
	}
	return Live(b, now)
}

// Unseal undoes Seal. It returns ErrBadRequest for anything that Seal did not
// make for this purpose, and for what another version of the program sealed in
// another form.
func Unseal(master *keys.Master, purpose keys.Purpose, sealed string, v any) error {
	// Each box has one encoding: no padding bits, no line breaks.
	box, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || strings.ContainsAny(sealed, "\r\n") {
		return ErrBadRequest
	}
	plain, err := master.Open(purpose, box, nil)
	if err != nil || json.Unmarshal(plain, v) != nil {
		return ErrBadRequest
	}
	return nil
}
