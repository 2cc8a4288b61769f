// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"compress/gzip"
	"io"
)

// maxPlain bounds what a compressed response may become, in bytes.
const maxPlain = 1 << 20

// decompressed returns the body of a response as its server wrote it.
func decompressed(a answer) ([]byte, error) {
	if a.Header.Get("Content-Encoding") != "gzip" {
		return a.body, nil
	}
	plain, err := gunzip(bytes.NewReader(a.body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

func gunzip(compressed io.Reader) (io.Reader, error) {
	plain, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, err
	}
	return io.LimitReader(plain, maxPlain), nil
}
