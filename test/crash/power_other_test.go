// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package crash

import (
	"errors"
	"testing"
)

// disk cuts the power on Linux only.
type disk struct{ mount string }

func newDisk(*testing.T) (*disk, error) { return nil, errors.New("not Linux") }
func (*disk) cut() error                { return nil }
func (*disk) again() error              { return nil }
