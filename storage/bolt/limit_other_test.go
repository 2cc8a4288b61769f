// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bolt

import "errors"

func limitFileSize(int64) (func(), error) { return nil, errors.ErrUnsupported }
