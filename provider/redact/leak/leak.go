// SPDX-License-Identifier: Apache-2.0

// Package leak finds secrets in what values print (invariant 10). Only tests import it.
package leak

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// Secret is the secret that a test puts into a value. It has the size of a SHA-256,
// and no byte above 127, so that each encoding of it is one piece of text.
const Secret = "canary:0123456789abcdefghijklmno"

// Hash returns Secret as a hash.
func Hash() [32]byte { return [32]byte([]byte(Secret)) }

// forms are the encodings of Secret that fmt and encoders write.
func forms() []string {
	joined := func(format, separator string) string {
		var bytes []string
		for _, b := range []byte(Secret) {
			bytes = append(bytes, fmt.Sprintf(format, b))
		}
		return strings.Join(bytes, separator)
	}
	return []string{
		Secret,
		hex.EncodeToString([]byte(Secret)),
		strings.ToUpper(hex.EncodeToString([]byte(Secret))),
		base64.RawStdEncoding.EncodeToString([]byte(Secret)),
		joined("%d", " "), joined("%d", ","), joined("%#x", ", "), joined("%b", " "),
	}
}

// Printed returns what a value prints as, by each way of printing it: the verbs of
// fmt, both handlers of slog, and encoders.
func Printed(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%b", "%o", "%t", "%U", "%c", "%e"} {
		out["fmt "+verb] = fmt.Sprintf(verb, v)
		out["fmt "+verb+" in a struct"] = fmt.Sprintf(verb, struct{ V any }{v})
	}
	var text, object bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v, "all", []any{v})
	slog.New(slog.NewJSONHandler(&object, nil)).Info("x", "v", v, "all", []any{v})
	out["slog as text"], out["slog as JSON"] = text.String(), object.String()
	encoded, _ := json.Marshal(v)
	out["JSON"] = string(encoded)
	encoded, _ = xml.Marshal(v)
	out["XML"] = string(encoded)
	var binary bytes.Buffer
	gob.NewEncoder(&binary).Encode(v) // of a value without exported fields: an error
	out["gob"] = binary.String()
	return out
}

// Check fails the test if Secret is in what the value prints as, except in the ways
// that are its wire form.
func Check(t testing.TB, what string, v any, wire ...string) {
	t.Helper()
	var leaks []string
	for way, text := range Printed(v) {
		leaked := func(form string) bool { return strings.Contains(text, form) }
		if !slices.Contains(wire, way) && slices.ContainsFunc(forms(), leaked) {
			leaks = append(leaks, way)
		}
	}
	if slices.Sort(leaks); len(leaks) > 0 {
		t.Errorf("%s: got the secret in %s", what, strings.Join(leaks, ", "))
	}
}
