// SPDX-License-Identifier: Apache-2.0

package audit

import "log/slog"

// The events of operators.
const (
	ClientAdded         Name = "client.added"
	ClientEdited        Name = "client.edited"
	ClientRemoved       Name = "client.removed"
	ClientSecretRotated Name = "client.secret_rotated"
	InitialTokenAdded   Name = "initial_token.added"
	InitialTokenRemoved Name = "initial_token.removed"
	KeysRotated         Name = "keys.rotated"
	KeysRemoved         Name = "keys.removed"
	LimitShown          Name = "limit.shown"
	LimitCleared        Name = "limit.cleared"
	UserFound           Name = "user.found"
	UserShown           Name = "user.shown"
	UserSignedOut       Name = "user.signed_out"
	UserDeleted         Name = "user.deleted"
	ConsoleSignedIn     Name = "console.signed_in"
	ConsoleSignedOut    Name = "console.signed_out"
	ConsoleRefused      Name = "console.refused"
	NoticesRetried      Name = "notices.retried"
	NoticesDropped      Name = "notices.dropped"
	BackupMade          Name = "backup.made"
	ClientImported      Name = "client.imported"
	UserImported        Name = "user.imported"
	UsersListed         Name = "users.listed"
	UserSessionEnded    Name = "user.session_ended"
	UserGrantRevoked    Name = "user.grant_revoked"
	UserAccessRevoked   Name = "user.access_revoked"
	GrantsListed        Name = "grants.listed"
	ConfigShown         Name = "config.shown"
	AuditShown          Name = "audit.shown"
	APIKeyAdded         Name = "api_key.added"
	APIKeyRemoved       Name = "api_key.removed"
	APIKeyRefused       Name = "api_key.refused"
	ChangeFailed        Name = "change.failed"
	NumberRecycled      Name = "number.recycled"
	StreamStopped       Name = "stream.stopped"
	StreamResumed       Name = "stream.resumed"
	StreamRemoved       Name = "stream.removed"
)

var operatorEvents = []Description{
	{
		Name: ClientAdded,
		Keys: keys("client"),
		Text: "An operator added a client.",
	},
	{
		Name: ClientEdited,
		Keys: keys("client fields"),
		Text: "An operator changed a client. `fields`: their names; in lists, what was added (+) and removed (-).",
	},
	{
		Name: ClientRemoved,
		Keys: keys("client"),
		Text: "An operator removed a client.",
	},
	{
		Name: ClientSecretRotated,
		Keys: keys("client"),
		Text: "An operator gave a client a new secret.",
	},
	{
		Name: InitialTokenAdded,
		Keys: keys("of"),
		Text: "An operator made an initial access token, with which clients register themselves.",
	},
	{
		Name: InitialTokenRemoved,
		Keys: keys("of"),
		Text: "An operator removed an initial access token.",
	},
	{
		Name: KeysRotated,
		Keys: keys("alg? force"),
		Text: "An operator activated the next signing keys.",
	},
	{
		Name: KeysRemoved,
		Keys: keys("kid"),
		Text: "An operator removed a retired signing key.",
	},
	{
		Name: LimitShown,
		Keys: keys("kind of"),
		Text: "An operator looked at a lock and its budget.",
	},
	{
		Name: LimitCleared,
		Keys: keys("kind of"),
		Text: "An operator cleared a lock and its budget.",
	},
	{
		Name: UserFound,
		Keys: keys("sub"),
		Text: "An operator looked a user up by their number.",
	},
	{
		Name: UserShown,
		Keys: keys("sub"),
		Text: "An operator looked at a user.",
	},
	{
		Name: ConsoleSignedIn,
		Keys: keys("sub?"),
		Text: "An operator signed in to the console.",
	},
	{
		Name: ConsoleSignedOut,
		Keys: keys("sub?"),
		Text: "An operator signed out of the console, which ends their session at the issuer too.",
	},
	{
		Name: ConsoleRefused,
		Keys: keys("sub reason"),
		Text: "A user was refused at the console: their number is not on the list (`not_listed`), or has another user now (`another_user`).",
	},
	{
		Name: UserSignedOut,
		Keys: keys("sub"),
		Text: "An operator ended all sessions of a user.",
	},
	{
		Name: UserDeleted,
		Keys: keys("sub"),
		Text: "An operator deleted a user.",
	},
	{
		Name: NoticesRetried,
		Keys: keys("client"),
		Text: "An operator had what waits for a client tried again at once.",
	},
	{
		Name: NoticesDropped,
		Keys: keys("client"),
		Text: "An operator deleted what waited for a client.",
	},
	{
		Name:  ChangeFailed,
		Level: slog.LevelWarn,
		Keys:  keys("change client? sub? sid? of? kid? alg? force? kind? error"),
		Text:  "What an operator began failed, after its line `change` was written. Without such a line, it was done, or the server ended meanwhile.",
	},
	{
		Name: ClientImported,
		Keys: keys("client"),
		Text: "An operator added a client that was exported elsewhere, with its secrets' hashes.",
	},
	{
		Name: UserImported,
		Keys: keys("sub"),
		Text: "An operator added a user who was exported elsewhere.",
	},
	{
		Name: BackupMade,
		Keys: nil,
		Text: "An operator had the store backed up. Backups of the schedule are in the log.",
	},
	{
		Name: UsersListed,
		Keys: nil,
		Text: "An operator looked at a page of the list of users.",
	},
	{
		Name: UserSessionEnded,
		Keys: keys("sub sid"),
		Text: "An operator ended one session of a user.",
	},
	{
		Name: UserGrantRevoked,
		Keys: keys("sub client grant"),
		Text: "An operator revoked a grant, and with it its tokens.",
	},
	{
		Name: UserAccessRevoked,
		Keys: keys("sub client"),
		Text: "An operator took a client's access to a user away: the consent, all grants and unused codes.",
	},
	{
		Name: GrantsListed,
		Keys: keys("client? sub?"),
		Text: "An operator looked at grants, of a client or of a user.",
	},
	{
		Name: ConfigShown,
		Keys: nil,
		Text: "An operator looked at the configuration, without its secrets.",
	},
	{
		Name: AuditShown,
		Keys: keys("client? sub?"),
		Text: "An operator read lines of the audit over the API or in the console: those of this client or user, if it names one.",
	},
	{
		Name: APIKeyAdded,
		Keys: keys("of scope"),
		Text: "An operator made an API key, `of` its ID, with these scopes.",
	},
	{
		Name: APIKeyRemoved,
		Keys: keys("of"),
		Text: "An operator removed an API key.",
	},
	{
		Name:  APIKeyRefused,
		Level: slog.LevelWarn,
		Keys:  keys("network"),
		Per:   keys("network"),
		Text:  "A request to `admin_listen` had an API key that is not valid.",
	},
	{
		Name: NumberRecycled,
		Keys: keys("number sub reason"),
		Text: "A user lost their number, because the source in `reason` says that it was recycled: `operator`.",
	},
	{
		Name: StreamStopped,
		Keys: keys("client"),
		Text: "An operator paused the event stream of a client.",
	},
	{
		Name: StreamResumed,
		Keys: keys("client"),
		Text: "An operator resumed the event stream of a client.",
	},
	{
		Name: StreamRemoved,
		Keys: keys("client"),
		Text: "An operator removed the event stream of a client, with the waiting events.",
	},
}
