package testworld

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"calleridp/keys"
	"calleridp/provider/endpoint"
)

// Aged returns a sealed request as if it had been made two hours earlier.
func Aged(t testing.TB, purpose keys.Purpose, sealed string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := endpoint.Unseal(Master(), purpose, sealed, &fields); err != nil {
		t.Fatal(err)
	}
	var until int64
	if err := json.Unmarshal(fields["e"], &until); err != nil {
		t.Fatal(err)
	}
	fields["e"] = json.RawMessage(strconv.FormatInt(until-7200, 10))
	sealed, err := endpoint.Seal(Master(), purpose, fields)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// Solves reports whether a solution of a challenge has enough zero bits. It counts
// them another way than the provider.
func Solves(seed string, zeros int, solution string) bool {
	var text strings.Builder
	for _, b := range sha256.Sum256([]byte(seed + solution)) {
		text.WriteString(fmt.Sprintf("%08b", b))
	}
	return strings.HasPrefix(text.String(), strings.Repeat("0", zeros))
}

// Solve finds a solution as a browser does.
func Solve(seed string, zeros int) string {
	for n := 0; ; n++ {
		if solution := strconv.Itoa(n); Solves(seed, zeros, solution) {
			return solution
		}
	}
}

// OtherVersions returns a sealed request as other versions of the program might have
// sealed it: with a field of another type, without a field, or as another JSON value.
func OtherVersions(t testing.TB, purpose keys.Purpose, sealed string) map[string]string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := endpoint.Unseal(Master(), purpose, sealed, &fields); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for what, plain := range OtherFields(fields) {
		other, err := endpoint.Seal(Master(), purpose, plain)
		if err != nil {
			t.Fatal(err)
		}
		versions[what] = other
	}
	return versions
}

// OtherFields returns the fields of a request as other versions of the program might
// write them.
func OtherFields(fields map[string]json.RawMessage) map[string]json.RawMessage {
	versions := map[string]json.RawMessage{}
	for _, text := range []string{`null`, `{}`, `[]`, `[1]`, `"text"`, `7`, `true`} {
		versions["all of it "+text] = json.RawMessage(text)
	}
	for name := range fields {
		for _, text := range []string{`null`, `{}`, `{"x":{}}`, `[]`, `[[]]`, `"text"`, `-1`, `1e99`, `true`, ""} {
			other := maps.Clone(fields)
			other[name] = json.RawMessage(text)
			if text == "" {
				delete(other, name)
			}
			all, err := json.Marshal(other)
			if err != nil {
				panic(err)
			}
			versions[fmt.Sprintf("%q as %q", name, text)] = all
		}
	}
	return versions
}
