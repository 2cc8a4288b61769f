// SPDX-License-Identifier: Apache-2.0

package record

import (
	"time"

	"calleridp/keys"
	"calleridp/truecaller"
)

// Deliveries are found by their id.
var Deliveries = Kind{Name: "deliveries", purpose: keys.PurposeDeliveryRecord, version: 1, expires: true, empty: empty[Delivery]}

// DeliveryKept is how long an unfinished delivery stays: well beyond the ten minutes for
// which its token is valid (invariant 8).
const DeliveryKept = time.Hour

// Delivery is a truecaller.Delivery.
type Delivery truecaller.Delivery

func (d *Delivery) fields(c *codec, _ byte) {
	text(c, &d.ID)
	text(c, &d.App)
	c.time(&d.Received)
	text(c, &d.RequestID)
	text(c, &d.State)
	text(c, &d.AccessToken)
	text(c, &d.Endpoint)
	text(c, &d.Status)
}
