// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"strings"
	"testing"

	"calleridp/provider/redact"
)

// A password that is written wrongly is in no error, not even a part of it, and the error
// says how to write it.
func TestAPasswordIsInNoError(t *testing.T) {
	for _, row := range []struct{ name, dsn, says string }{
		{"an @", "postgres://app:one@hunter2@127.0.0.1/app", "%40"},
		{"two of them", "postgres://app:one@hunter2@three@127.0.0.1/app", "%40"},
		{"an @ and a slash", "postgres://app:one@two/hunter2@127.0.0.1/app", "%40"},
		{"an @, with TLS", "postgres://app:one@hunter2@db.example.com/app?sslmode=verify-full", "%40"},
		{"a slash", "postgres://app:one/hunter2@127.0.0.1/app", "%2F"},
		{"a percent sign", "postgres://app:one%zzhunter2@127.0.0.1/app", "percent-encode"},
		{"a space", "host=127.0.0.1 user=app password=one hunter2 dbname=app", "quote"},
		{"a space and a quote", `host=127.0.0.1 user=app password=one two"hunter2 dbname=app`, "quote"},
		{"an open quote", "host=127.0.0.1 user=app password='one hunter2", "quote"},
		{"no string at all", "hunter2", "key=value"},
	} {
		err := CheckDSN(redact.Text(row.dsn))
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, want %q in it, and nothing of the password", row.name, err, row.says)
		}
	}
	for _, dsn := range []string{
		"postgres://app:one%40two%2F@127.0.0.1/app", "host=127.0.0.1 user=app password='one @ two @'", "postgres://app@127.0.0.1,127.0.0.2/app",
	} {
		if err := CheckDSN(redact.Text(dsn)); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}
