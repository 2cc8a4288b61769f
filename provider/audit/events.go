package audit

import (
	"log/slog"
	"strings"
)

// Name is the stable name of an event. Programs that read the audit may rely on
// it.
type Name string

// The events of sign-in attempts.
const (
	AttemptStarted      Name = "attempt.started"
	AttemptResumed      Name = "attempt.resumed"
	AttemptLimited      Name = "attempt.limited"
	AttemptUnavailable  Name = "attempt.unavailable"
	AttemptInvoked      Name = "attempt.invoked"
	AttemptApproved     Name = "attempt.approved"
	AttemptRejected     Name = "attempt.rejected"
	AttemptFailed       Name = "attempt.failed"
	AttemptExpired      Name = "attempt.expired"
	AttemptDone         Name = "attempt.done"
	AttemptMismatch     Name = "attempt.callback_mismatch"
	AttemptChangedHands Name = "attempt.number_changed_hands"
	ChallengeUnsolved   Name = "challenge.unsolved"
)

// The events of the endpoints that clients call.
const (
	ClientUnauthenticated Name = "client.unauthenticated"
	ResponseWithheld      Name = "response.withheld"
)

// RequestObjectRefused is the event of the authorization endpoint.
const RequestObjectRefused Name = "request_object.refused"

// The events of clients that register themselves.
const (
	ClientRegistered    Name = "client.registered"
	ClientChanged       Name = "client.changed"
	ClientDeregistered  Name = "client.deregistered"
	ClientExpired       Name = "client.expired"
	RegistrationRefused Name = "registration.refused"
)

// The events of devices that ask for a sign-in (RFC 8628).
const (
	DeviceStarted     Name = "device.started"
	DeviceLimited     Name = "device.limited"
	DeviceCodeUnknown Name = "device.code_unknown"
	DeviceAllowed     Name = "device.allowed"
	DeviceDenied      Name = "device.denied"
)

// The events of sessions, consent and grants.
const (
	SessionUsed   Name = "session.used"
	ConsentGiven  Name = "consent.given"
	ConsentDenied Name = "consent.denied"
	GrantRevoked  Name = "grant.revoked"
	GrantReused   Name = "grant.reused"
)

// The events of notices that a session has ended (OpenID Connect Back-Channel Logout).
const (
	LogoutDelivered Name = "logout.delivered"
	LogoutRefused   Name = "logout.refused"
	LogoutAbandoned Name = "logout.abandoned"
	StreamCreated   Name = "stream.created"
	StreamChanged   Name = "stream.changed"
	StreamDeleted   Name = "stream.deleted"
	StreamPaused    Name = "stream.paused"
	SignalRefused   Name = "signal.refused"
	SignalAbandoned Name = "signal.abandoned"
)

// The events of the account page. SessionEnded is one of the logout endpoint,
// too.
const (
	AccessRevoked    Name = "access.revoked"
	SessionEnded     Name = "session.ended"
	SessionsEnded    Name = "sessions.ended"
	PersonDownloaded Name = "person.downloaded"
	PersonDeleted    Name = "person.deleted"
)

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
	NumberRecycled      Name = "number.recycled"
	StreamStopped       Name = "stream.stopped"
	StreamResumed       Name = "stream.resumed"
	StreamRemoved       Name = "stream.removed"
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
)

// The events of the audit itself, which provider/audit/trail writes.
const (
	FileBegun Name = "audit.file"
	Opened    Name = "audit.opened"
	Closed    Name = "audit.closed"
	Lost      Name = "audit.lost"
	Gap       Name = "audit.gap"
	Held      Name = "audit.held"
	Removed   Name = "audit.removed"
)

// Description is what the catalogue says of one event.
type Description struct {
	Name  Name
	Level slog.Level
	Keys  []string // in the order in which a log line has them; "?" after a key: left out if empty
	// Per are the keys by which Sums tells lines of the event apart. It writes the first
	// of those that agree in all these keys, and counts the others. Only an event that
	// costs something limited has none, such as an attempt or the access of an operator.
	Per  []string
	Text string // for operators
}

var attemptKeys = keys("attempt method number client network app reason? sub?")

func keys(list string) []string { return strings.Fields(list) }

// Events is the catalogue: every event that the program records.
var Events = []Description{
	{
		Name: AttemptStarted,
		Keys: attemptKeys,
		Text: "An attempt was created: for a push, a one-tap link or a native sign-in.",
	},
	{
		Name: AttemptResumed,
		Keys: attemptKeys,
		Text: "The browser of an open push asked for the same number again. " +
			"The attempt now serves that request, of this `client`; no second push was sent.",
	},
	{
		Name: AttemptLimited,
		Keys: keys("attempt method number client network app limit reserved reason? sub?"),
		Per:  keys("network limit"),
		Text: "A lock or budget refused an attempt. Only the cost of the try was written. " +
			"`reserved`: only the part for solved challenges was left.",
	},
	{
		Name: AttemptUnavailable,
		Keys: attemptKeys,
		Per:  keys("network"),
		Text: "An attempt was refused because Truecaller has not been answering. Nothing was written.",
	},
	{
		Name: AttemptInvoked,
		Keys: attemptKeys,
		Text: "Truecaller's dialog is open on the phone.",
	},
	{
		Name: AttemptApproved,
		Keys: attemptKeys,
		Text: "The user approved on the phone.",
	},
	{
		Name: AttemptRejected,
		Keys: attemptKeys,
		Text: "The user declined on the phone or cancelled in the browser.",
	},
	{
		Name:  AttemptFailed,
		Level: slog.LevelWarn,
		Keys:  attemptKeys,
		Text:  "The attempt failed, for the `reason`.",
	},
	{
		Name: AttemptExpired,
		Keys: attemptKeys,
		Text: "The attempt took too long.",
	},
	{
		Name: AttemptDone,
		Keys: attemptKeys,
		Text: "The approved attempt was used, and the browser or application is signed in.",
	},
	{
		Name:  AttemptMismatch,
		Level: slog.LevelWarn,
		Keys:  attemptKeys,
		Per:   keys("attempt"),
		Text:  "A callback knows the attempt's secret but names another request or app. It was ignored; the attempt goes on.",
	},
	{
		Name:  AttemptChangedHands,
		Level: slog.LevelWarn,
		Keys:  attemptKeys,
		Text:  "The number belongs to a new user, who got a new `sub`.",
	},
	{
		Name: ChallengeUnsolved,
		Keys: keys("client network error"),
		Per:  keys("network"),
		Text: "A browser submitted a number without solving its challenge.",
	},
	{
		Name:  ClientUnauthenticated,
		Level: slog.LevelWarn,
		Keys:  keys("endpoint client network error"),
		Per:   keys("network client endpoint"),
		Text: "A caller failed to authenticate as a client, as with a guessed secret. " +
			"`client` is empty if no client has the `client_id`.",
	},
	{
		Name:  RequestObjectRefused,
		Level: slog.LevelWarn,
		Keys:  keys("client network error"),
		Per:   keys("network client"),
		Text: "An authorization request had a request object that was refused, as one that the client has not signed, " +
			"or one that its `request_uri` does not give.",
	},
	{
		Name:  ResponseWithheld,
		Level: slog.LevelWarn,
		Keys:  keys("client error"),
		Per:   keys("client"),
		Text: "A client got no ID token, or no userinfo, because it has registered encryption, " +
			"and its `jwks` or `jwks_uri` has no key for it or could not be read.",
	},
	{
		Name: ClientRegistered,
		Keys: keys("client network"),
		Text: "A client registered itself.",
	},
	{
		Name: ClientChanged,
		Keys: keys("client network"),
		Per:  keys("client network"),
		Text: "A client changed what it has registered.",
	},
	{
		Name: ClientDeregistered,
		Keys: keys("client network"),
		Text: "A client that had registered itself removed itself, and with it its tokens.",
	},
	{
		Name: ClientExpired,
		Keys: keys("client"),
		Text: "A client that had registered itself was removed, because nobody had used it.",
	},
	{
		Name: RegistrationRefused,
		Keys: keys("network error"),
		Per:  keys("network"),
		Text: "A client could not register itself, or not change what it has registered.",
	},
	{
		Name: DeviceStarted,
		Keys: keys("client network"),
		Text: "A device without a browser asked for a sign-in, and got codes.",
	},
	{
		Name: DeviceLimited,
		Keys: keys("client? network limit"),
		Per:  keys("network limit"),
		Text: "A budget refused the request of a device, or a user code that was tried.",
	},
	{
		Name: DeviceCodeUnknown,
		Keys: keys("network"),
		Per:  keys("network"),
		Text: "Someone entered a user code that no device waits with. Many of them are guesses.",
	},
	{
		Name: DeviceAllowed,
		Keys: keys("sub sid client"),
		Text: "A user allowed the request of a device.",
	},
	{
		Name: DeviceDenied,
		Keys: keys("sub? client network?"),
		Text: "Someone who knows a device's user code denied its request: on the page that asks whether they started it, or, with `sub`, at the consent prompt.",
	},
	{
		Name: SessionUsed,
		Keys: keys("sid sub client"),
		Per:  keys("sid sub client"),
		Text: "A client got a code for a user who was signed in already.",
	},
	{
		Name: ConsentGiven,
		Keys: keys("sub sid client scope"),
		Per:  keys("sub sid client scope"),
		Text: "The user allowed a client these scopes.",
	},
	{
		Name: ConsentDenied,
		Keys: keys("sub client"),
		Per:  keys("sub client"),
		Text: "The user denied a client's request.",
	},
	{
		Name: GrantRevoked,
		Keys: keys("client grant sub"),
		Per:  keys("client grant sub"),
		Text: "A client revoked a grant by its refresh token.",
	},
	{
		Name:  GrantReused,
		Level: slog.LevelWarn,
		Keys:  keys("kind client attempt? grant reason? sub"),
		Per:   keys("kind client grant sub"),
		Text:  "A used code or an old refresh token was presented again, as after a theft. The grant was revoked.",
	},
	{
		Name: AccessRevoked,
		Keys: keys("sub by client"),
		Per:  keys("sub by client"),
		Text: "On the account page: the user took a client's access away.",
	},
	{
		Name: LogoutDelivered,
		Keys: keys("client sub sid?"),
		Per:  keys("client"),
		Text: "A client was told that a session had ended; without `sid`, all of the user's.",
	},
	{
		Name: LogoutRefused,
		Keys: keys("client sub sid? reason"),
		Per:  keys("client"),
		Text: "A client refused a logout token (status 400): it is not told again.",
	},
	{
		Name: LogoutAbandoned,
		Keys: keys("client sub sid? reason"),
		Per:  keys("client"),
		Text: "A client could not be told that a session had ended: for a day, or in ten tries.",
	},
	{
		Name: StreamCreated,
		Keys: keys("client network"),
		Text: "A receiver created its stream of events.",
	},
	{
		Name: StreamChanged,
		Keys: keys("client network"),
		Per:  keys("client network"),
		Text: "A receiver changed its stream, or the status of it.",
	},
	{
		Name: StreamDeleted,
		Keys: keys("client network"),
		Text: "A receiver deleted its stream, with what waited for it.",
	},
	{
		Name:  StreamPaused,
		Level: slog.LevelWarn,
		Keys:  keys("client reason"),
		Text:  "A stream was paused, because its receiver does not take events. They are held for 14 days from when they happened.",
	},
	{
		Name:  SignalRefused,
		Level: slog.LevelWarn,
		Keys:  keys("client sub? kind reason"),
		Per:   keys("client"),
		Text:  "A receiver refused an event for good: it is not sent again. `kind`: the event, or `poll`.",
	},
	{
		Name:  SignalAbandoned,
		Level: slog.LevelWarn,
		Keys:  keys("client sub? kind reason"),
		Per:   keys("client"),
		Text:  "A receiver did not get an event within 14 days.",
	},
	{
		Name: SessionEnded,
		Keys: keys("sub? by? sid client"),
		Text: "A session ended: at the logout endpoint, or with `by` on the account page.",
	},
	{
		Name: SessionsEnded,
		Keys: keys("sub by"),
		Text: "On the account page: the user ended all their sessions.",
	},
	{
		Name: PersonDownloaded,
		Keys: keys("sub by"),
		Per:  keys("sub by"),
		Text: "On the account page: the user downloaded their data.",
	},
	{
		Name: PersonDeleted,
		Keys: keys("sub"),
		Text: "On the account page: the user deleted their account.",
	},
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
		Text: "An operator removed the event stream of a client, with what waited for it.",
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
}

// Own are the events of the audit itself. They are lines of its files alone.
var Own = []Description{
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
}
