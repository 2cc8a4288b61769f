// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs.
const (
	codeDeletedUser    = "CI001" // of refuse_deleted
	codeNotHeld        = "CI002" // of settle_delivery
	codeNotSupported   = "0A000" // for one, a cached plan after a migration
	codeUnique         = "23505"
	codeReadOnly       = "25006"
	codePermission     = "42501"
	codeUndefinedTable = "42P01"
	codeCompletion     = "40003" // statement_completion_unknown
	codeConnections    = "53300"
	codeLockTimeout    = "55P03"
	codeCancelled      = "57014" // by statement_timeout, or by an operator
)

// errorKind says what an error of the database calls for. All but final, deleted and notHeld go
// by, and are ErrUnavailable if they outlast Options.RecoverFor.
type errorKind int

const (
	final    errorKind = iota // another run would fail in the same way
	deleted                   // the user was
	notHeld                   // another server holds the delivery
	conflict                  // with another transaction: another run may succeed
	lost                      // the connection; or there was none
	readOnly                  // the database takes no writes, as before a failover has ended
	full                      // the database has no room, or its disk fails
	slow                      // a statement took too long: so would another run
	denied                    // the database refuses this user: a mistake, or one that is made while the server runs
)

// isWorthAnotherRun reports whether another run may soon succeed.
func (k errorKind) isWorthAnotherRun() bool { return k == conflict || k == lost || k == readOnly }

func kindOf(err error) errorKind {
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
		return final
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		switch {
		case errors.Is(err, errAgain):
			return conflict
		case errors.As(err, new(errLost)):
			return lost
		}
		return final
	}
	// Texts are in the language of the server (lc_messages); codes and names of functions
	// are not.
	switch code, class := refused.Code, refused.Code[:min(2, len(refused.Code))]; {
	case code == codeDeletedUser:
		return deleted
	case code == codeNotHeld:
		return notHeld
	case class == "40", code == codeUnique, code == codeLockTimeout:
		return conflict
	case code == codeNotSupported && refused.Routine == "RevalidateCachedQuery":
		return conflict
	case class == "28", class == "3D", code == codePermission: // no such user, password, database, right
		return denied
	case code == codeReadOnly:
		return readOnly
	case code == codeCancelled:
		return slow
	case class == "08", class == "57", code == codeConnections: // closed, shutting down, starting, all in use
		return lost
	case class == "53", class == "58":
		return full
	case !isError(refused):
		return lost
	}
	return final
}

// unknownOutcome reports whether nothing tells what became of a commit that ended with
// this error.
func unknownOutcome(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || !isError(refused) || refused.Code == codeCompletion || refused.Code[:min(2, len(refused.Code))] == "08"
}

// isError reports whether the session goes on after an error: the severity is ERROR,
// and neither FATAL nor PANIC.
func isError(refused *pgconn.PgError) bool {
	if refused.SeverityUnlocalized != "" {
		return refused.SeverityUnlocalized == "ERROR"
	}
	return refused.Severity == "ERROR" // of a pooler that sends one of both
}
