// SPDX-License-Identifier: Apache-2.0

package config

import (
	"testing"
	"time"
)

func TestAuditIsChecked(t *testing.T) {
	for key, a := range map[string]Audit{
		"audit.to":               {To: []string{"file", "nowhere"}},
		"audit.server":           {Server: "a/b"},
		"audit.keep":             {Keep: Duration(time.Hour)},
		"audit.rotate_megabytes": {RotateMegabytes: 5000},
	} {
		d := newDecoder("")
		a.setDefaults("/data")
		if d.checkAudit(a); !d.failed(key) || len(d.errors) != 1 {
			t.Errorf("got %v, want %s refused alone", d.errors, key)
		}
	}
	var a Audit
	a.setDefaults("/data")
	d := newDecoder("")
	if d.checkAudit(a); len(d.errors) != 0 || !a.Goes(AuditFile) || a.Goes(AuditLog) || a.Dir != "/data/audit" || a.MaxBytes() != 64<<20 {
		t.Errorf("the defaults: %+v, %v", a, d.errors)
	}
}
