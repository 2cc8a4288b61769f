// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calleridp/provider/redact"
	"calleridp/storage/postgres/pgtest"
)

// authority is a CA for tests.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.key = newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// file returns the file with the CA's certificate, for sslrootcert.
func (a *authority) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificate returns a certificate for these addresses, and its key.
func (a *authority) certificate(t *testing.T, expires time.Time, addresses ...net.IP) (certificate, key []byte) {
	t.Helper()
	own := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "database"}, IPAddresses: addresses,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: expires, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func started(t *testing.T, o pgtest.Options) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Each mistake in the setup says what is wrong, what to do and in which option, and
// never the password.
func TestSetupErrors(t *testing.T) {
	ca := newAuthority(t)
	certificate, key := ca.certificate(t, time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1))
	expired, expiredKey := ca.certificate(t, time.Now().Add(-time.Hour), net.IPv4(127, 0, 0, 1))
	const password = "right-password"
	access := []string{"local all all trust", "host all postgres 127.0.0.1/32 reject", "hostssl all all 127.0.0.1/32 scram-sha-256"}
	secure := started(t, pgtest.Options{TCP: true, Certificate: certificate, Key: key, Access: access})
	for _, sql := range []string{"CREATE ROLE app LOGIN PASSWORD '" + password + "'", "CREATE ROLE other LOGIN PASSWORD '" + password + "'",
		"CREATE ROLE postgres LOGIN", "CREATE DATABASE app OWNER app"} {
		exec(t, secure.DSN("postgres"), sql)
	}
	plain := started(t, pgtest.Options{TCP: true})
	for _, sql := range []string{"CREATE ROLE crowded LOGIN CONNECTION LIMIT 0", "CREATE ROLE reader LOGIN", "ALTER ROLE reader SET default_transaction_read_only = on"} {
		exec(t, plain.DSN("postgres"), sql)
	}
	unsaid := func(user string) string { // how to connect, so that TLS is tried first
		return fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=postgres", plain.Port(), user)
	}
	old := started(t, pgtest.Options{TCP: true, Certificate: expired, Key: expiredKey})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unused := closed.Addr().(*net.TCPAddr).Port
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // which accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	through, err := pooler()
	if err != nil {
		t.Fatal(err)
	}

	dsn := func(s *pgtest.Server, user, password, database, more string) string {
		return fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=verify-full sslrootcert=%s %s",
			s.Port(), user, password, database, ca.file(t), more)
	}
	good := dsn(secure, "app", password, "app", "application_name=tested")
	const wrong = "hunter2-wrong"
	for _, row := range []struct {
		name  string
		dsn   string
		field string
		says  []string
	}{
		{"a wrong password", dsn(secure, "app", wrong, "app", ""), "DSN", []string{"password of user app", "ALTER ROLE"}},
		{"no such role", dsn(secure, "nobody", wrong, "app", ""), "DSN", []string{"password of user nobody"}},
		{"not let in", dsn(secure, "postgres", password, "postgres", ""), "DSN", []string{"does not let user postgres in", "pg_hba.conf"}},
		{"no such database", dsn(secure, "app", password, "nowhere", ""), "DSN", []string{"no database nowhere", "CREATE DATABASE nowhere OWNER app"}},
		{"no rights", dsn(secure, "other", password, "app", ""), "DSN", []string{"user other lacks a right in database app", "owner"}},
		{"an unknown parameter", dsn(secure, "app", password, "app", "no_such_thing=1"), "DSN", []string{"does not know a parameter", "remove"}},
		{"another name", strings.Replace(good, "host=127.0.0.1", "host=localhost", 1), "DSN", []string{"certificate", "not for localhost"}},
		{"another CA", strings.Replace(good, "sslrootcert=", "sslrootcert="+newAuthority(t).file(t)+" x-", 1), "DSN", []string{"unknown CA", "sslrootcert"}},
		{"an expired certificate", dsn(old, "app", password, "app", ""), "DSN", []string{"not valid", "another one"}},
		{"no TLS", dsn(plain, "app", password, "app", ""), "DSN", []string{"no TLS", "ssl = on"}},
		{"no TLS, which is not required, and no free connection", unsaid("crowded"), "MaxConnections", []string{"no free connection"}},
		{"no TLS, which is not required, and a reader", unsaid("reader"), "DSN", []string{"takes changes"}},
		{"nobody listens", fmt.Sprintf("host=127.0.0.1 port=%d user=app sslmode=disable", unused), "DSN", []string{"nothing listens at 127.0.0.1", "start the database"}},
		{"nobody answers", fmt.Sprintf("host=127.0.0.1 port=%d user=app sslmode=disable connect_timeout=1", silent.Addr().(*net.TCPAddr).Port), "DSN", []string{"nothing answers at 127.0.0.1", "firewall"}},
		{"no such host", "host=no-such-host.invalid user=app sslmode=verify-full connect_timeout=30", "DSN", []string{"no-such-host.invalid has no address"}},
		{"no socket", "host=/nowhere user=app", "DSN", []string{"nothing listens at /nowhere"}},
		{"an unexpected pooler", through(server.DSN("postgres")), "Pooler", []string{"through a pooler", "mode of the pooler"}},
	} {
		row.dsn = strings.Replace(row.dsn, " x-", " fallback_application_name=", 1)
		o := Options{DSN: redact.Text(row.dsn), RecoverFor: time.Millisecond}
		_, checked := Check(t.Context(), testMaster(t), o)
		s, opened := Open(t.Context(), testMaster(t), o)
		if opened == nil {
			s.Close()
		}
		for what, err := range map[string]error{"checking": checked, "opening": opened} {
			setup, ok := errors.AsType[*SetupError](err)
			if !ok || setup.Field != row.field {
				t.Errorf("%s, %s: %v, want an error of %s", row.name, what, err, row.field)
				continue
			}
			for _, says := range row.says {
				if !strings.Contains(setup.Reason, says) {
					t.Errorf("%s, %s: %q, want %q in it", row.name, what, setup.Reason, says)
				}
			}
			if strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), password) {
				t.Errorf("%s, %s: %v has the password", row.name, what, err)
			}
		}
	}

	// And without any mistake: TLS, the name and the timeouts are the connection's.
	if warnings, err := Check(t.Context(), testMaster(t), Options{DSN: redact.Text(good)}); err != nil {
		t.Errorf("%v, %v", warnings, err)
	}
	s := open(t, Options{DSN: redact.Text(good), LockTimeout: 7 * time.Second, StatementTimeout: 70 * time.Second, MaxConnections: 3})
	var tls bool
	var name, lock, statement string
	err = s.pool.QueryRow(t.Context(), `SELECT ssl, application_name, current_setting('lock_timeout'), current_setting('statement_timeout')
		FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()`).Scan(&tls, &name, &lock, &statement)
	if err != nil || !tls || name != "tested" || lock != "7s" || statement != "70s" {
		t.Errorf("TLS %v, name %q, lock_timeout %s, statement_timeout %s, %v", tls, name, lock, statement, err)
	}
	if n := s.pool.Stat().MaxConns(); n != 3 {
		t.Errorf("%d connections at most, want 3", n)
	}
	if strings.Contains(fmt.Sprintf("%v %+v", s.options, s.options), password) {
		t.Error("the options print the password")
	}
}
