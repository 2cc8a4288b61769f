// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SetupError says what is wrong with an option, or with the database that it leads to,
// and what to do about it. It never contains a password.
type SetupError struct {
	Field  string // of Options: DSN, ListenDSN, Pooler or MaxConnections
	Reason string
	cause  error
}

func (e *SetupError) Error() string { return "postgres: " + e.Reason + " (" + e.cause.Error() + ")" }
func (e *SetupError) Unwrap() error { return e.cause }

const unexpectedPooler = "the connection goes through a pooler that is not expected; set the mode of the pooler, or connect to the database itself"

// explained returns a SetupError for an error whose cause an operator can remove, and
// other errors as they are. field is what has the connection string.
func explained(err error, c *pgx.ConnConfig, field string) error {
	if err == nil || errors.As(err, new(*SetupError)) {
		return err
	}
	for _, row := range explanations {
		if reason := row(err, c); reason != "" {
			return &SetupError{Field: field, Reason: reason, cause: err}
		}
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code {
		case "08P01", "26000", "42P05": // of a pooler, and of prepared statements that another connection has
			if field == "ListenDSN" {
				return &SetupError{Field: field, cause: err, Reason: "this connection goes through a pooler; it must lead to the database itself"}
			}
			return &SetupError{Field: "Pooler", cause: err, Reason: unexpectedPooler}
		case codeConnections:
			return &SetupError{Field: "MaxConnections", cause: err, Reason: "the database has no free connection; raise its max_connections (or the limit of the user), or let each server open fewer"}
		}
	}
	return err
}

// explanations return the reason for an error and what to do, "" for other errors. The
// causes of several hosts are tried in this order.
var explanations = []func(err error, c *pgx.ConnConfig) string{
	func(err error, c *pgx.ConnConfig) string {
		refused, ok := errors.AsType[*pgconn.PgError](err)
		if !ok {
			return ""
		}
		switch refused.Code {
		case "28P01":
			return fmt.Sprintf("the database refuses the password of user %s; correct it in the connection string, or with ALTER ROLE", c.User)
		case "28000":
			return fmt.Sprintf("the database does not let user %s in; create the role, or allow this machine in pg_hba.conf", c.User)
		case "3D000":
			return fmt.Sprintf("there is no database %s; create it (CREATE DATABASE %s OWNER %s), or correct its name", c.Database, c.Database, c.User)
		case codePermission:
			return fmt.Sprintf("user %s lacks a right in database %s; make it the owner of the database and of its tables", c.User, c.Database)
		case "42704", "22023":
			return "the database does not know a parameter of the connection string, or its value; correct or remove it"
		case codeReadOnly:
			return "the database only reads; it must be the primary"
		}
		return ""
	},
	func(err error, c *pgx.ConnConfig) string {
		if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
			return fmt.Sprintf("the certificate of the database is not for %s; use a name that it is for as the host, or give the database another one", wrong.Host)
		}
		return ""
	},
	func(err error, c *pgx.ConnConfig) string {
		if errors.As(err, new(x509.UnknownAuthorityError)) {
			return "the certificate of the database is of an unknown CA; name the file with its CA in the connection string, with sslrootcert"
		}
		return ""
	},
	func(err error, c *pgx.ConnConfig) string {
		if wrong, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
			return fmt.Sprintf("the certificate of the database is not valid (%s); give the database another one", wrong.Error())
		}
		return ""
	},
	func(err error, c *pgx.ConnConfig) string {
		// With sslmode=prefer it was tried without TLS afterwards, and something else is wrong.
		required := c.TLSConfig != nil && !slices.ContainsFunc(c.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil })
		if required && strings.Contains(err.Error(), "server refused TLS connection") { // pgconn has no error of its own
			return "the database speaks no TLS; turn it on there (ssl = on, with a certificate)"
		}
		return ""
	},
	func(err error, c *pgx.ConnConfig) string {
		if strings.Contains(err.Error(), "read only connection") { // likewise
			return "no host of the connection string takes changes, because each is a replica or only reads; one must be the primary"
		}
		return ""
	},
	func(err error, c *pgx.ConnConfig) string {
		if unknown, ok := errors.AsType[*net.DNSError](err); ok {
			return fmt.Sprintf("the host %s has no address; correct its name, or the name servers of this machine", unknown.Name)
		}
		return ""
	},
	func(err error, c *pgx.ConnConfig) string {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("nothing listens at %s, port %d; start the database, or correct host and port", c.Host, c.Port)
		}
		return ""
	},
	func(err error, c *pgx.ConnConfig) string {
		var slow net.Error
		if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout() {
			return fmt.Sprintf("nothing answers at %s, port %d; is it the database, and does a firewall let this machine through?", c.Host, c.Port)
		}
		return ""
	},
}
