// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
)

// KeyError says why the value of one key is refused, and what to do about it.
type KeyError struct {
	Key    string // "truecaller.app_name", "clients[2].redirect_uris"
	Origin string // "line 12", "CALLERIDP_ISSUER", or "" for a key that is set nowhere
	Reason string
}

func (e KeyError) Error() string {
	if e.Origin == "" {
		return e.Key + ": " + e.Reason
	}
	return e.Key + " (" + e.Origin + "): " + e.Reason
}

// InvalidError holds all errors of one configuration.
type InvalidError struct {
	Source string // the file, or what else the configuration comes from
	Keys   []KeyError
}

func (e *InvalidError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %d problem", e.Source, len(e.Keys))
	if len(e.Keys) > 1 {
		b.WriteByte('s')
	}
	b.WriteByte(':')
	for _, one := range e.Keys {
		b.WriteString("\n  " + one.Error())
	}
	return b.String()
}
