// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"errors"
	"fmt"

	"calleridp/keys"

	"filippo.io/age"
)

// stanza is the type of the line in age's header that has the key of a backup, with the
// fingerprint of the master key that sealed it.
const stanza = "calleridp-master"

// sealed is the master key as age knows recipients and identities. age's header is
// authenticated under the key in it, so nobody without the master key can make a header
// that opens.
type sealed struct{ master *keys.Master }

var (
	_ age.Recipient = sealed{}
	_ age.Identity  = sealed{}
)

// Wrap implements age.Recipient.
func (s sealed) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	fingerprint := s.master.Fingerprint()
	return []*age.Stanza{{
		Type: stanza,
		Args: []string{fingerprint},
		Body: s.master.Seal(keys.PurposeBackup, fileKey, []byte(fingerprint)),
	}}, nil
}

var errNoStanza = errors.New("backup: its key was not sealed by calleridp")

// Unwrap implements age.Identity.
func (s sealed) Unwrap(all []*age.Stanza) (fileKey []byte, err error) {
	if len(all) != 1 || all[0].Type != stanza || len(all[0].Args) != 1 {
		return nil, errNoStanza
	}
	fingerprint := s.master.Fingerprint()
	if made := all[0].Args[0]; made != fingerprint {
		return nil, fmt.Errorf("%w (fingerprint %s, the configured key has %s); configure the key that it was made under: without it nothing in the backup can be read",
			ErrOtherKey, made, fingerprint)
	}
	fileKey, err = s.master.Open(keys.PurposeBackup, all[0].Body, []byte(fingerprint))
	if err != nil {
		return nil, fmt.Errorf("%w (its key does not open)", ErrDamaged)
	}
	return fileKey, nil
}
