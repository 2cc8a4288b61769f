// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/redact"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// applicationName is how the database's own tools show a connection, unless the
// connection string names it.
const applicationName = "calleridp"

// pool returns the configuration of the connections. Its errors never contain the
// connection string, which may have a password in it.
func (o Options) pool() (*pgxpool.Config, error) {
	if strings.Contains(string(o.DSN), "://") && strings.Count(string(o.DSN), "@") > 1 {
		// A part of the password would be taken for the host, which errors name.
		return nil, errors.New("postgres: the connection string cannot be read: it has more than one @; write those of the password as %40")
	}
	config, err := pgxpool.ParseConfig(string(o.DSN))
	if err != nil {
		return nil, errors.New("postgres: the connection string cannot be read: " + strings.ReplaceAll(unwrapped(err), string(o.DSN), "…") +
			"; in a URL, percent-encode what is special in a password (/ is %2F), and in key=value pairs, quote one with spaces ('…')")
	}
	if !o.Insecure {
		if err := protected(config.ConnConfig); err != nil {
			return nil, err
		}
	}
	config.MaxConns = int32(o.MaxConnections)
	config.MinConns = min(2, config.MaxConns)
	config.MaxConnIdleTime = 5 * time.Minute
	config.MaxConnLifetime = time.Hour // so that a server that was added gets its share
	config.MaxConnLifetimeJitter = 10 * time.Minute
	config.HealthCheckPeriod = 10 * time.Second
	config.PingTimeout = 2 * time.Second
	c := config.ConnConfig
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if o.dial != nil {
		c.DialFunc = o.dial
	}
	// Whatever target_session_attrs says: a replica may lack what was revoked, and what it
	// says would decide.
	c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	c.Tracer = o.trace
	if o.Pooler {
		c.DefaultQueryExecMode = pgx.QueryExecModeExec
		return config, nil
	}
	if _, set := c.RuntimeParams["plan_cache_mode"]; !set {
		c.AfterConnect = planOnce
	}
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	for name, value := range map[string]string{
		"application_name":                    applicationName,
		"statement_timeout":                   milliseconds(o.StatementTimeout),
		"lock_timeout":                        milliseconds(o.LockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(o.LockTimeout / 2), // a process that hangs must not lock out the others
	} {
		if _, set := c.RuntimeParams[name]; !set {
			c.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// planOnce makes a connection plan each statement once: all look rows up by a key, and
// planning again finds nothing better. It is no parameter of the start, because a pooler
// refuses those that it does not know.
func planOnce(ctx context.Context, conn *pgconn.PgConn) error {
	return conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan").Close()
}

// CheckDSN reports what Open refuses of a connection string.
func CheckDSN(dsn redact.Text) error {
	_, err := Options{DSN: dsn}.withDefaults().pool()
	return err
}

// unwrapped returns what is wrong with a connection string, without it.
func unwrapped(err error) string {
	if parse, ok := errors.AsType[*pgconn.ParseConfigError](err); ok && parse.Unwrap() != nil {
		return withoutQuoted(parse.Unwrap().Error())
	}
	return "expected postgres://user@host/database, or key=value pairs"
}

// withoutQuoted cuts a text off before the first word that it quotes: it may be of a
// password. A quoted sign, like "=", is none.
func withoutQuoted(text string) string {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '"':
		case i+2 < len(text) && text[i+2] == '"':
			i += 2
		default:
			return text[:i] + "…"
		}
	}
	return text
}

// protected refuses connections over a network that could be read or redirected:
// everything in the database is sealed, and who can change what the server reads could
// still bring back what was revoked.
func protected(c *pgx.ConnConfig) error {
	check := func(host string, checked bool) error {
		if checked || strings.HasPrefix(host, "/") || host == "localhost" {
			return nil
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
			return nil
		}
		return fmt.Errorf("%w: %s is in a network; add sslmode=verify-full to the connection string (and sslrootcert, for a CA of your own)", ErrInsecure, host)
	}
	if err := check(c.Host, c.TLSConfig != nil && !c.TLSConfig.InsecureSkipVerify); err != nil {
		return err
	}
	for _, f := range c.Fallbacks {
		if err := check(f.Host, f.TLSConfig != nil && !f.TLSConfig.InsecureSkipVerify); err != nil {
			return err
		}
	}
	return nil
}
