// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"testing"

	"calleridp/provider/endpoint"
	"calleridp/provider/redact/leak"
)

// A code prints neither from the form that it is sealed in nor from the response.
func TestInvariant10_CodesAreRedacted(t *testing.T) {
	leak.Check(t, "consentRequest", consentRequest{Ticket: ticket{Code: leak.Secret}})
	resp := Response{Params: []endpoint.Parameter{{Name: "code", Value: leak.Secret}}}
	leak.Check(t, "Finished", Finished{Response: resp, Session: leak.Secret, Browser: leak.Secret})
}
