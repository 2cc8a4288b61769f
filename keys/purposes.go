// SPDX-License-Identifier: Apache-2.0

package keys

// Purpose separates the uses of the master key: a value sealed or authenticated
// for one purpose is meaningless for another. Each has a key of its own, derived
// from the master key and the purpose.
//
// All of them are listed here. They are part of stored values and of tokens, so
// a purpose never changes, and a value is never used again for something else.
type Purpose string

// Purposes that seal what the browser carries from page to page.
const (
	// PurposeAuthorizationRequest seals an authorization request in the form of
	// the sign-in page.
	PurposeAuthorizationRequest Purpose = "authorization-request"
	// PurposeLogoutRequest seals a logout request in the form that asks for
	// confirmation.
	PurposeLogoutRequest Purpose = "logout-request"
	// PurposeConsentRequest seals what a consent prompt is about.
	PurposeConsentRequest Purpose = "consent-request"
	// PurposeChallenge seals a proof-of-work challenge.
	PurposeChallenge Purpose = "challenge"
	// PurposeOneTapNonce seals the nonce of a one-tap link.
	PurposeOneTapNonce Purpose = "one-tap-nonce"
	// PurposeDevice seals what a device cookie says.
	PurposeDevice Purpose = "device"
	// PurposeGreeting seals who has signed in last in a browser, in its device cookie.
	PurposeGreeting Purpose = "greeting"
	// PurposeDeviceRequest seals the request of a device in the form that asks the user
	// whether they have started it.
	PurposeDeviceRequest Purpose = "device-request"
	// PurposeConsoleFlow seals a sign-in to the operators' console that has begun.
	PurposeConsoleFlow Purpose = "console-flow"
	// PurposeConsoleSession seals the session of an operator in the console's cookie.
	PurposeConsoleSession Purpose = "console-session"
	// PurposeBrowserState derives the state that session management shows of a session.
	PurposeBrowserState Purpose = "browser-state"
	// PurposeProbe seals what calleridp doctor asks a server through the issuer's address.
	PurposeProbe Purpose = "probe"
	// PurposeProbeReport seals how such a request reached the server.
	PurposeProbeReport Purpose = "probe-report"
	// PurposeBrowserSecret derives the secret of a browser's cookie from the form that
	// the browser sends.
	PurposeBrowserSecret Purpose = "browser-secret"
)

// Purposes that authenticate or derive what users and clients hold.
const (
	// PurposeRefreshToken authenticates refresh tokens.
	PurposeRefreshToken Purpose = "refresh-token"
	// PurposeSignalToken authenticates the access tokens of receivers of signals.
	PurposeSignalToken Purpose = "signal-token"
	// PurposeSignalTxn derives what the events of one fact have in common, for one client.
	PurposeSignalTxn Purpose = "signal-txn"
	// PurposeLaterCode derives the authorization code that a consent form gives when its
	// first one has expired.
	PurposeLaterCode Purpose = "later-code"
	// PurposeDeviceCode makes the hash by which the answer to a device code is stored.
	PurposeDeviceCode Purpose = "device-code"
	// PurposeAuditLine authenticates the lines of the audit.
	PurposeAuditLine Purpose = "audit-line"
	// PurposeAccountForm makes the token in the forms of the account page.
	PurposeAccountForm Purpose = "account-form"
	// PurposeConsoleForm makes the token in the forms of the operators' console.
	PurposeConsoleForm Purpose = "console-form"
	// PurposeConsoleBond binds the session of an operator to a secret of the store.
	PurposeConsoleBond Purpose = "console-bond"
	// PurposePairwiseSub derives the sub of a user for one sector.
	PurposePairwiseSub Purpose = "pairwise-sub"
	// PurposePairwiseSID derives the sid of a session for one sector.
	PurposePairwiseSID Purpose = "pairwise-sid"
)

// Purposes of keyed hashes by which records are found.
const (
	// PurposeNumberHash hides the phone number by which a user is found.
	PurposeNumberHash Purpose = "number-hash"
	// PurposeOperatorHash hides the number by which the user of an operator is found.
	PurposeOperatorHash Purpose = "operator-hash"
	// PurposeUserCodeHash hides the user code by which the request of a device is found.
	PurposeUserCodeHash Purpose = "user-code-hash"
	// PurposeLimitHash hides what a lock or a budget is about.
	PurposeLimitHash Purpose = "limit-hash"
	// PurposeDeletedHash hides the sub of a deleted user.
	PurposeDeletedHash Purpose = "deleted-hash"
	// PurposeSignalSubject hides the subject of which a client wants no events.
	PurposeSignalSubject Purpose = "signal-subject"
	// PurposeBackup seals the key of a backup.
	PurposeBackup Purpose = "backup"
	// PurposeCopyDigest compares the records of two stores, and tells nothing of them.
	PurposeCopyDigest Purpose = "copy-digest"
)

// Purposes that seal stored values: the private part of a signing key, and one
// for each kind of record.
const (
	// PurposePrivateKey seals the private part of a signing key within its record.
	PurposePrivateKey Purpose = "private-key"
	// PurposeMetaRecord seals facts about the whole store.
	PurposeMetaRecord Purpose = "meta-record"
	// PurposeSigningKeyRecord seals the set of signing keys.
	PurposeSigningKeyRecord Purpose = "signing-key-record"
	// PurposeClientRecord seals clients.
	PurposeClientRecord Purpose = "client-record"
	// PurposePersonRecord seals users.
	PurposePersonRecord Purpose = "person-record"
	// PurposeDeletedRecord seals tombstones of deleted users.
	PurposeDeletedRecord Purpose = "deleted-record"
	// PurposeNumberRecord seals to whom a phone number belongs.
	PurposeNumberRecord Purpose = "number-record"
	// PurposeLimitRecord seals locks and budgets.
	PurposeLimitRecord Purpose = "limit-record"
	// PurposeAttemptRecord seals attempts.
	PurposeAttemptRecord Purpose = "attempt-record"
	// PurposeCorrelationRecord seals which attempt has a state.
	PurposeCorrelationRecord Purpose = "correlation-record"
	// PurposeFormRecord seals which attempt a form has started.
	PurposeFormRecord Purpose = "form-record"
	// PurposeCallbackSecretRecord seals the hashes of callback secrets.
	PurposeCallbackSecretRecord Purpose = "callback-secret-record"
	// PurposeDeliveryRecord seals callbacks in the inbox.
	PurposeDeliveryRecord Purpose = "delivery-record"
	// PurposeSessionRecord seals sessions.
	PurposeSessionRecord Purpose = "session-record"
	// PurposeSessionIDRecord seals which session has a sid.
	PurposeSessionIDRecord Purpose = "session-id-record"
	// PurposeCodeRecord seals authorization codes.
	PurposeCodeRecord Purpose = "code-record"
	// PurposeGrantRecord seals grants.
	PurposeGrantRecord Purpose = "grant-record"
	// PurposeConsentRecord seals consents.
	PurposeConsentRecord Purpose = "consent-record"
	// PurposeAccessTokenRecord seals access tokens.
	PurposeAccessTokenRecord Purpose = "access-token-record"
	// PurposeAssertionRecord seals that a client assertion was used.
	PurposeAssertionRecord Purpose = "assertion-record"
	// PurposeInitialTokenRecord seals initial access tokens of client registration.
	PurposeInitialTokenRecord Purpose = "initial-token-record"
	// PurposeNoticeRecord seals notices for clients.
	PurposeNoticeRecord Purpose = "notice-record"
	// PurposeReceiverRecord seals how the deliveries of notices to a client stand.
	PurposeReceiverRecord Purpose = "receiver-record"
	// PurposeDeviceRequestRecord seals requests of devices.
	PurposeDeviceRequestRecord Purpose = "device-request-record"
	// PurposeAPIKeyRecord seals API keys of operators.
	PurposeAPIKeyRecord Purpose = "api-key-record"
	// PurposeRequestRecord seals requests of operators that are carried out once.
	PurposeRequestRecord Purpose = "request-record"
	// PurposeAuditHeadRecord seals how far the chains of the audit have come.
	PurposeAuditHeadRecord Purpose = "audit-head-record"
	// PurposeFunnelRecord seals what was counted of sign-ins.
	PurposeFunnelRecord Purpose = "funnel-record"
	// PurposeStreamRecord seals the event streams of clients.
	PurposeStreamRecord Purpose = "stream-record"
	// PurposeKnownRecord seals which clients know a user.
	PurposeKnownRecord Purpose = "known-record"
	// PurposeRemovedSubjectRecord seals that a client wants no events of a subject.
	PurposeRemovedSubjectRecord Purpose = "removed-subject-record"
)
