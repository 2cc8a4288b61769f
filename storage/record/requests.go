package record

import (
	"calleridp/keys"
	"calleridp/provider/once"
)

// Requests are found by their key (once.Request).
var Requests = Kind{Name: "requests", purpose: keys.PurposeRequestRecord, version: 1, expires: true, empty: empty[Request]}

// Request is a once.Request.
type Request once.Request

func (r *Request) fields(c *codec, _ byte) {
	hash(c, &r.Key)
	hash(c, &r.Digest)
	c.time(&r.Began)
	c.bytes(&r.Response)
}
