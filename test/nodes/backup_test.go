// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// A dump that was restored into another database is checked before a server uses it: every
// record opens under the master key, and schema, issuer and signing keys fit.
func TestBackupOfTheDatabaseIsVerified(t *testing.T) {
	m := newMover(t)
	m.Stop(os.Interrupt)
	m.use(m.dsn())
	m.Start()
	if out, err := harness.Run(t, "client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example/cb", "--socket", m.Socket); err != nil {
		t.Fatalf("client add: %v\n%s", err, out)
	}
	m.Stop(os.Interrupt)
	verified := func(says string) {
		t.Helper()
		out, err := m.Command("backup", "verify")
		if (err == nil) != strings.Contains(says, "is whole") || !strings.Contains(out, says) {
			t.Errorf("backup verify: %v\n%s\nwant %q", err, out, says)
		}
	}
	const whole = "The database is whole"
	verified(whole)

	dump, err := exec.Command("pg_dump", "--no-owner", m.dsn()).Output()
	if err != nil {
		t.Fatalf("pg_dump: %v", err)
	}
	restored := must(m.database.Database(t.Context()))
	m.use(restored)
	load := func(sql []byte) {
		t.Helper()
		psql := exec.Command("psql", "--quiet", "--set", "ON_ERROR_STOP=1", restored)
		psql.Stdin = bytes.NewReader(sql)
		if out, err := psql.CombinedOutput(); err != nil {
			t.Fatalf("psql: %v\n%s", err, out)
		}
	}
	load(dump)
	verified(whole)

	load([]byte("UPDATE clients SET value = set_byte(value, length(value)-1, get_byte(value, length(value)-1) # 1);"))
	out, err := m.Command("backup", "verify")
	if err == nil || strings.Contains(out, whole) || !strings.Contains(out, "client") {
		t.Errorf("backup verify of a changed record: %v\n%s", err, out)
	}
	load([]byte("DROP SCHEMA public CASCADE; CREATE SCHEMA public;"))
	load(dump)
	verified(whole)

	m.use(m.dsn())
	key := filepath.Join(m.Dir, "master.key")
	if err := os.Rename(key, key+".kept"); err != nil {
		t.Fatal(err)
	}
	if out, err := harness.Run(t, "keys", "init-master", "--out", key); err != nil {
		t.Fatalf("keys init-master: %v\n%s", err, out)
	}
	if out, err := m.Command("backup", "verify"); err == nil || !strings.Contains(out, "master key") {
		t.Errorf("backup verify with another master key: %v\n%s", err, out)
	}
}
