// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"testing"

	"calleridp/provider/redact/leak"
)

// Parameters hold client secrets, codes and tokens: only their names print.
func TestInvariant10_ParametersAreRedacted(t *testing.T) {
	in := parse("client_id=app&client_secret=" + leak.Secret)
	leak.Check(t, "Parameters", in)
	leak.Check(t, "All", in.All())
}
