// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"flag"
	"os"
	"testing"
)

// These tests wait for the server and for expiry more than they compute. So eight
// run at a time, however few cores there are, unless -parallel says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "8")
	}
	os.Exit(m.Run())
}
