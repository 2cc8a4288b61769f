package record

import (
	"calleridp/keys"
	"calleridp/truecaller"
)

// Deliveries are found by their id.
var Deliveries = Kind{Name: "deliveries", purpose: keys.PurposeDeliveryRecord, version: 1, expires: true}

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
