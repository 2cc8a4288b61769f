// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"time"

	"calleridp/provider/redact"
	"calleridp/storage/postgres"
)

// Storage configures where the server keeps its records. The keys after engine are for
// postgres only.
type Storage struct {
	// Engine is bolt, a file in data_dir for one server, or postgres, a PostgreSQL
	// database (15 to 18) for any number of servers. Default bolt.
	Engine string `yaml:"engine"`
	// DSNFile is the file with the connection string, like
	// postgres://calleridp:PASSWORD@db.example.com/calleridp?sslmode=verify-full. It may
	// name several hosts; the one that takes changes is used. Connections over a network
	// must check the server's certificate (sslmode=verify-full). Required, unless
	// CALLERIDP_STORAGE_DSN holds it.
	DSNFile string      `yaml:"dsn_file"`
	DSN     redact.Text `yaml:"dsn" secret:"environment"`
	// MaxConnections is how many connections each server opens, besides two: one listens,
	// and one says which callbacks the server works on. Default 20.
	MaxConnections Count `yaml:"max_connections"`
	// Isolation is the level of transactions: read_committed, or serializable for
	// databases that have no other. Default read_committed.
	Isolation string `yaml:"isolation"`
	// StatementTimeout is how long a statement may take. Default 10s.
	StatementTimeout Duration `yaml:"statement_timeout"`
	// LockTimeout is how long a statement waits for another transaction, at most
	// statement_timeout. Default 5s.
	LockTimeout Duration `yaml:"lock_timeout"`
	// PoolTimeout is how long a request waits for a connection while all are in use, or
	// none can be made. Default 5s.
	PoolTimeout Duration `yaml:"pool_timeout"`
	// Pooler is transaction if connections go through a pooler in transaction mode, like
	// PgBouncer, else none. Set the timeouts for the database's user then, with ALTER
	// ROLE. Default none.
	Pooler string `yaml:"pooler"`
	// ListenDSNFile is the file with the connection string of the one connection that
	// bypasses the pooler, to hear at once what other servers change. If unset, a server
	// behind a pooler looks twice a second.
	ListenDSNFile string      `yaml:"listen_dsn_file"`
	ListenDSN     redact.Text `yaml:"listen_dsn" secret:"environment"`
}

// The values of storage.engine, storage.isolation and storage.pooler.
const (
	EngineBolt     = "bolt"
	EnginePostgres = "postgres"

	IsolationReadCommitted = "read_committed"
	IsolationSerializable  = "serializable"

	PoolerNone        = "none"
	PoolerTransaction = "transaction"
)

// storageKey returns the key that sets an option of the database (postgres.Options).
func (c Storage) storageKey(field string) string {
	switch {
	case field == "Pooler":
		return "storage.pooler"
	case field == "MaxConnections":
		return "storage.max_connections"
	case field == "ListenDSN" && c.ListenDSN != "":
		return variable("storage.listen_dsn")
	case field == "ListenDSN":
		return "storage.listen_dsn_file"
	case c.DSN != "":
		return variable("storage.dsn")
	}
	return "storage.dsn_file"
}

// StorageError returns an error of the database with the key that sets what is wrong.
func (s Settings) StorageError(err error) error {
	if setup, ok := errors.AsType[*postgres.SetupError](err); ok {
		return fmt.Errorf("%s: %s (%w)", s.StorageKey(setup.Field), setup.Reason, errors.Unwrap(setup))
	}
	return err
}

// checkStorage returns how to reach the database, nil for the embedded engine.
func (d *decoder) checkStorage(c Storage) *postgres.Options {
	dsn := d.secret("storage.dsn", c.DSN, c.DSNFile)
	listen := d.secret("storage.listen_dsn", c.ListenDSN, c.ListenDSNFile)
	if c.Isolation != IsolationReadCommitted && c.Isolation != IsolationSerializable {
		d.refuse("storage.isolation", "%q is unknown; use %s or %s", c.Isolation, IsolationReadCommitted, IsolationSerializable)
	}
	if c.Pooler != PoolerNone && c.Pooler != PoolerTransaction {
		d.refuse("storage.pooler", "%q is unknown; use %s or %s", c.Pooler, PoolerNone, PoolerTransaction)
	}
	switch c.Engine {
	case EngineBolt:
		if dsn != "" || listen != "" {
			d.refuse("storage.engine", "%s has no database; set it to %s, or remove the connection strings", c.Engine, EnginePostgres)
		}
		return nil
	case EnginePostgres:
	default:
		d.refuse("storage.engine", "%q is unknown; use %s or %s", c.Engine, EngineBolt, EnginePostgres)
		return nil
	}
	o := &postgres.Options{
		DSN:              dsn,
		ListenDSN:        listen,
		Pooler:           c.Pooler == PoolerTransaction,
		MaxConnections:   int(c.MaxConnections),
		StatementTimeout: time.Duration(c.StatementTimeout),
		LockTimeout:      time.Duration(c.LockTimeout),
		PoolTimeout:      time.Duration(c.PoolTimeout),
	}
	if c.Isolation == IsolationSerializable {
		o.Isolation = postgres.Serializable
	}
	if dsn == "" {
		if c.DSNFile == "" {
			d.refuse("storage.dsn_file", "missing; write the connection string to a file that only the server can read, and name it here")
		}
		return o
	}
	if err := postgres.CheckDSN(dsn); err != nil {
		d.refuse("storage.dsn_file", "%v", err)
	}
	if listen != "" {
		if err := postgres.CheckDSN(listen); err != nil {
			d.refuse("storage.listen_dsn_file", "%v", err)
		}
	}
	return o
}

// secret returns a secret that the environment holds, or else a file; "" if neither
// does. key is the one without _file.
func (d *decoder) secret(key string, value redact.Text, file string) redact.Text {
	if value != "" || file == "" {
		return value
	}
	text, err := ReadSecret(file)
	switch {
	case err != nil:
		d.refuse(key+"_file", "%v", err)
	case text == "":
		d.refuse(key+"_file", "%s is empty", file)
	}
	return redact.Text(text)
}
