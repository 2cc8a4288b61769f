// SPDX-License-Identifier: Apache-2.0

package audit

import "log/slog"

// The events of event streams (OpenID Shared Signals Framework).
const (
	StreamCreated   Name = "stream.created"
	StreamChanged   Name = "stream.changed"
	StreamDeleted   Name = "stream.deleted"
	StreamPaused    Name = "stream.paused"
	SignalRefused   Name = "signal.refused"
	SignalAbandoned Name = "signal.abandoned"
)

var signalEvents = []Description{
	{
		Name: StreamCreated,
		Keys: keys("client network"),
		Text: "A receiver created its stream of events.",
	},
	{
		Name: StreamChanged,
		Keys: keys("client network"),
		Per:  keys("client network"),
		Text: "A receiver changed its stream, or its status.",
	},
	{
		Name: StreamDeleted,
		Keys: keys("client network"),
		Text: "A receiver deleted its stream, with the waiting events.",
	},
	{
		Name:  StreamPaused,
		Level: slog.LevelWarn,
		Keys:  keys("client reason"),
		Text:  "A stream was paused, because its receiver does not accept events. Each is held for 14 days.",
	},
	{
		Name:  SignalRefused,
		Level: slog.LevelWarn,
		Keys:  keys("client sub? kind reason"),
		Per:   keys("client"),
		Text:  "A receiver refused an event permanently: it is not sent again. `kind`: the event, or `poll`.",
	},
	{
		Name:  SignalAbandoned,
		Level: slog.LevelWarn,
		Keys:  keys("client sub? kind reason"),
		Per:   keys("client"),
		Text:  "A receiver did not get an event within 14 days.",
	},
}
