package testworld

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
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
