// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// MaxCallback is the largest callback body that is read, in bytes (invariant 4).
const MaxCallback = 16 << 10

// maxDepth is how deep unknown fields of a callback may nest.
const maxDepth = 16

// ErrMalformed is the error of a callback that Truecaller does not send. A callback is
// one JSON object with an id, and a token or a status, each a string of limited length,
// and the token one that a header can carry.
var ErrMalformed = errors.New("truecaller: malformed callback")

// ParseCallback checks the form of a callback, not its truth (docs/truecaller.md
// section 3). It allows unknown fields, but no field twice; null counts as absent. It
// keeps an unknown status. Errors wrap ErrMalformed.
func ParseCallback(body []byte) (Callback, error) {
	if len(body) > MaxCallback || !utf8.Valid(body) {
		return Callback{}, ErrMalformed
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // a number of any size is skipped
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return Callback{}, ErrMalformed
	}
	var c Callback
	known := map[string]struct {
		into *string
		max  int
	}{
		"requestId":   {&c.RequestID, maxRequestID},
		"state":       {&c.State, 256},
		"accessToken": {&c.AccessToken, 4096},
		"endpoint":    {&c.Endpoint, 1024},
		"status":      {&c.Status, 128},
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok || seen[name] {
			return Callback{}, ErrMalformed
		}
		seen[name] = true
		field, ok := known[name]
		if !ok {
			// Whole, because token by token takes five times as long, and an attacker may
			// send as much as fits.
			var value json.RawMessage
			if err := d.Decode(&value); err != nil || nesting(value) > maxDepth {
				return Callback{}, ErrMalformed
			}
			continue
		}
		value, err := d.Token()
		text, isString := value.(string)
		if err != nil || (!isString && value != nil) || len(text) > field.max {
			return Callback{}, ErrMalformed
		}
		*field.into = text
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return Callback{}, ErrMalformed
	}
	if _, err := d.Token(); err != io.EOF {
		return Callback{}, ErrMalformed
	}
	if c.RequestID == "" && c.State == "" || c.AccessToken == "" && c.Status == "" {
		return Callback{}, ErrMalformed
	}
	if c.AccessToken != "" && !isBearer(c.AccessToken) {
		return Callback{}, ErrMalformed
	}
	return c, nil
}

// nesting returns how deep arrays and objects nest in a JSON value.
func nesting(value []byte) int {
	depth, deepest, inText := 0, 0, false
	for i := 0; i < len(value); i++ {
		switch b := value[i]; {
		case inText:
			if b == '\\' {
				i++ // an escaped character does not end the text
			}
			inText = b != '"'
		case b == '"':
			inText = true
		case b == '{', b == '[':
			depth++
			deepest = max(deepest, depth)
		case b == '}', b == ']':
			depth--
		}
	}
	return deepest
}
