// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// A record that cannot be read has one line in the log, and very many have not one each.
func TestDamageIsToldOnce(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var d Damage
	for range 3 {
		d.Tell(log, &Deliveries, []byte("d1"), "it is left out", errors.New("damaged"))
		d.Tell(log, &Attempts, []byte("d1"), "it is left out", errors.New("damaged"))
	}
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "kind=deliveries key=6431") {
		t.Errorf("got\n%swant a line for each of two records", got)
	}
	for i := range 3 * damageMost {
		d.Tell(log, &Deliveries, fmt.Append(nil, i), "it is left out", errors.New("damaged"))
	}
	if lines := strings.Count(out.String(), "\n"); lines != damageMost+1 {
		t.Errorf("%d lines, want %d", lines, damageMost+1)
	}
}
