// SPDX-License-Identifier: Apache-2.0

package audit

import "log/slog"

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

var sessionEvents = []Description{
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
}
