// SPDX-License-Identifier: Apache-2.0

package audit

import "log/slog"

// The events of the audit itself, which provider/audit/trail writes.
const (
	FileBegun Name = "audit.file"
	Opened    Name = "audit.opened"
	Closed    Name = "audit.closed"
	Lost      Name = "audit.lost"
	Gap       Name = "audit.gap"
	Held      Name = "audit.held"
	Removed   Name = "audit.removed"
	Restored  Name = "audit.restored"
)

// TrailEvents are the events of the audit itself. They are lines of its files alone.
var TrailEvents = []Description{
	{
		Name: FileBegun,
		Keys: keys("file torn?"),
		Text: "The first line of each file. `torn` names what a crash or a full disk has left of lines at the end of earlier ones: file, offset, bytes and their SHA-256.",
	},
	{
		Name: Opened,
		Keys: keys("version"),
		Text: "The server started.",
	},
	{
		Name: Closed,
		Keys: keys("lines"),
		Text: "The server stopped, after so many lines. A start without a stop before it was a crash.",
	},
	{
		Name:  Lost,
		Level: slog.LevelWarn,
		Keys:  keys("lines error"),
		Text:  "So many lines could not be written, for the `error`. No change of an operator is among them.",
	},
	{
		Name:  Gap,
		Level: slog.LevelError,
		Keys:  keys("from to"),
		Text:  "At its start the server found its files without these lines, which it had written: they were cut off, or the files are older than the store.",
	},
	{
		Name:  Held,
		Level: slog.LevelWarn,
		Keys:  keys("newest clock"),
		Text:  "The clock is more than two days ahead of the newest file, because it was set or there was nothing to write. Old files stay for a day more.",
	},
	{
		Name: Removed,
		Keys: keys("file from? to?"),
		Text: "A file with these lines was removed because it is older than `audit.keep`. Without numbers, it had no line of its server.",
	},
	{
		Name:  Restored,
		Level: slog.LevelWarn,
		Keys:  keys("taken restored known found"),
		Text:  "The first start with a store that was restored from a backup: the times of both, the newest line that the backup knew of, and the newest one that the files had. Lines that were cut off behind `found` before this line are not missed.",
	},
}
