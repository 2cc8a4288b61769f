// SPDX-License-Identifier: Apache-2.0

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

// OtherVersion returns the one of OtherVersions that is called so, "" if there is none.
func OtherVersion(t testing.TB, purpose keys.Purpose, sealed, what string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := endpoint.Unseal(Master(), purpose, sealed, &fields); err != nil {
		t.Fatal(err)
	}
	plain, ok := OtherFields(fields)[what]
	if !ok {
		return ""
	}
	other, err := endpoint.Seal(Master(), purpose, plain)
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// OtherFields returns the fields of a request, and those of the structs in it, as other
// versions of the program might write them: as something else, left out, or under
// another name. A field within a struct is called by its path, as in t.g.
func OtherFields(fields map[string]json.RawMessage) map[string]json.RawMessage {
	versions := map[string]json.RawMessage{}
	for _, text := range []string{`null`, `{}`, `[]`, `[1]`, `"text"`, `7`, `true`} {
		versions["all of it "+text] = json.RawMessage(text)
	}
	otherFields("", fields, func(what string, other json.RawMessage) { versions[what] = other })
	return versions
}

// otherFields gives each change of a struct's fields. path ends with a dot, or is empty.
func otherFields(path string, fields map[string]json.RawMessage, give func(what string, other json.RawMessage)) {
	with := func(name string, value json.RawMessage, as string) json.RawMessage {
		other := maps.Clone(fields)
		delete(other, name)
		if as != "" {
			other[as] = value
		}
		all, err := json.Marshal(other)
		if err != nil {
			panic(err)
		}
		return all
	}
	for name, value := range fields {
		for _, text := range []string{`null`, `{}`, `{"x":{}}`, `[]`, `[[]]`, `"text"`, `""`, `-1`, `1e99`, `true`} {
			give(fmt.Sprintf("%q as %q", path+name, text), with(name, json.RawMessage(text), name))
		}
		give(fmt.Sprintf("%q left out", path+name), with(name, nil, ""))
		give(fmt.Sprintf("%q under another name", path+name), with(name, value, "other_"+name))
		var inner map[string]json.RawMessage
		if json.Unmarshal(value, &inner) == nil && inner != nil {
			otherFields(path+name+".", inner, func(what string, other json.RawMessage) {
				give(what, with(name, other, name))
			})
		}
	}
}
