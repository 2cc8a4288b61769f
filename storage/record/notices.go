// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/binary"

	"calleridp/keys"
	"calleridp/provider/notify"
)

// Notices are found by NoticeKey.
var Notices = Kind{Name: "notices", purpose: keys.PurposeNoticeRecord, version: 1, expires: true, empty: empty[Notice]}

// Receivers are found by their client id.
var Receivers = Kind{Name: "receivers", purpose: keys.PurposeReceiverRecord, version: 1, expires: true, empty: empty[Receiver]}

// Notice is a notify.Notice.
type Notice notify.Notice

func (n *Notice) fields(c *codec, _ byte) {
	text(c, &n.ID)
	text(c, &n.Receiver)
	text(c, &n.Kind)
	text(c, &n.Sub)
	text(c, &n.SID)
	c.time(&n.At)
	c.time(&n.Met)
	number(c, &n.Tries)
	text(c, &n.Event)
	text(c, &n.Detail)
}

// Receiver is a notify.Receiver.
type Receiver notify.Receiver

func (r *Receiver) fields(c *codec, _ byte) {
	text(c, &r.ID)
	number(c, &r.Failures)
	c.time(&r.Next)
	c.time(&r.Delivered)
	c.time(&r.Failed)
	text(c, &r.Reason)
}

// NoticeKey is the length of the receiver, the receiver and the notice's ID, so that the
// notices of one receiver are next to each other, in their order.
func NoticeKey(receiver, id string) []byte {
	k := make([]byte, 0, 2+len(receiver)+len(id))
	k = binary.BigEndian.AppendUint16(k, uint16(len(receiver)))
	k = append(k, receiver...)
	return append(k, id...)
}
