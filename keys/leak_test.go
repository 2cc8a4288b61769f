// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// The master key prints as its name.
func TestMasterIsRedacted(t *testing.T) {
	secret := bytes.Repeat([]byte("k3y!"), MasterSize/4)
	m, err := NewMaster(secret)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", m)
	var shown strings.Builder
	shown.WriteString(log.String())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown.WriteString(fmt.Sprintf(verb, m) + fmt.Sprintf(verb, struct{ Master *Master }{m}))
	}
	for _, form := range []string{"k3y!", hex.EncodeToString([]byte("k3y!")), "107 51 121 33", "0x6b, 0x33"} {
		if strings.Contains(shown.String(), form) {
			t.Errorf("got %s in %s", form, shown.String())
		}
	}
}
