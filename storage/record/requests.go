// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
	"calleridp/provider/idempotency"
)

// Requests are found by their key (idempotency.Request).
var Requests = Kind{Name: "requests", purpose: keys.PurposeRequestRecord, version: 1, expires: true, empty: empty[Request]}

// Request is a idempotency.Request.
type Request idempotency.Request

func (r *Request) fields(c *codec, _ byte) {
	hash(c, &r.Key)
	hash(c, &r.Digest)
	c.time(&r.Began)
	c.bytes(&r.Response)
}
