// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"os"
	"strings"
)

// readText reads a text file, without the byte order mark that some editors write
// first. UTF-16, which some shells write, is an error: it would be another secret.
func readText(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, errors.New(path + " is in UTF-16; save it as UTF-8")
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

// ReadSecret reads a file that holds one secret, without white space around it.
func ReadSecret(path string) (string, error) {
	text, err := readText(path)
	return strings.TrimSpace(string(text)), err
}
