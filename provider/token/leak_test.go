// SPDX-License-Identifier: Apache-2.0

package token

import (
	"testing"

	"calleridp/provider/redact/leak"
)

// Neither what a token response is made of nor the response itself prints a token; its
// JSON is what the client gets.
func TestInvariant10_TokenResponsesAreRedacted(t *testing.T) {
	leak.Check(t, "issued", issued{access: leak.Secret, idToken: leak.Secret})
	wire := []string{"JSON", "slog as JSON", "XML", "gob"}
	r := response{AccessToken: leak.Secret, RefreshToken: leak.Secret, IDToken: leak.Secret}
	leak.Check(t, "response", r, wire...)
	leak.Check(t, "*response", &r, wire...)
}
