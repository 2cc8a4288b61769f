// SPDX-License-Identifier: Apache-2.0

package audit

import "log/slog"

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

var attemptKeys = keys("attempt method number client network app reason? sub?")

var attemptEvents = []Description{
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
}
