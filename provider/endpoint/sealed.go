package endpoint

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"calleridp/keys"
)

// Errors of sealed requests.
var (
	// ErrBadRequest means that the sealed request does not open.
	ErrBadRequest = errors.New("provider: the sealed request does not open")
	// ErrRequestExpired means that the sealed request is too old.
	ErrRequestExpired = errors.New("provider: the sealed request has expired")
)

// Seal encrypts v for a form: nothing is stored for a page (invariant 1).
func Seal(master *keys.Master, purpose keys.Purpose, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(master.Seal(purpose, plain, nil)), nil
}

// Unseal undoes Seal. It returns ErrBadRequest for anything that Seal did not
// make for this purpose.
func Unseal(master *keys.Master, purpose keys.Purpose, sealed string, v any) error {
	// Each box has one encoding: no padding bits, no line breaks.
	box, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || strings.ContainsAny(sealed, "\r\n") {
		return ErrBadRequest
	}
	plain, err := master.Open(purpose, box, nil)
	if err != nil {
		return ErrBadRequest
	}
	return json.Unmarshal(plain, v)
}
