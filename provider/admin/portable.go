// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// PortableFormat is the version of Portable that this program writes, and the newest that
// it reads.
const PortableFormat = 1

// Portable is clients or users as a file, for another deployment or for a look. It has no
// secret in the clear. It has no sessions, grants, consents or profiles: those are in
// backups.
type Portable struct {
	Format  int              `json:"format"`
	Issuer  string           `json:"issuer"`   // of the deployment
	Taken   time.Time        `json:"taken_at"` // when the store was like this
	Clients []PortableClient `json:"clients,omitempty"`
	Users   []PortableUser   `json:"users,omitempty"`
	// LeftOut is what the file lacks, in sentences.
	LeftOut []string `json:"left_out,omitempty"`
}

// PortableClient is a client, with the hashes of its secrets.
type PortableClient struct {
	Client
	SecretHashes []string `json:"client_secret_sha256,omitempty"` // in hexadecimal
}

// PortableUser is a user. The number is personal data.
type PortableUser struct {
	Sub          string    `json:"sub"`
	Number       string    `json:"phone_number"` // E.164
	TruecallerID string    `json:"truecaller_id,omitempty"`
	OAuthSub     string    `json:"truecaller_oauth_sub,omitempty"`
	Created      time.Time `json:"created"`
	LastSignIn   time.Time `json:"last_sign_in,omitzero"`
	VerifiedAt   time.Time `json:"verified_at,omitzero"` // when Truecaller last vouched for the number
}

// AddClient adds a client, or a sentence about why it is left out.
func (p *Portable) AddClient(c client.Client) {
	switch {
	case c.FromConfig:
		return // it is in the configuration
	case c.Registration != nil:
		p.LeftOut = append(p.LeftOut, fmt.Sprintf("client %s: it registered itself, and has to do so again", c.ID))
		return
	case len(c.Secrets) > 0:
		p.LeftOut = append(p.LeftOut, fmt.Sprintf("client %s: its secret, which client_secret_jwt needs in the clear; give it another one after the import", c.ID))
	}
	out := PortableClient{Client: shown(c)}
	for _, h := range c.SecretHashes {
		out.SecretHashes = append(out.SecretHashes, hex.EncodeToString(h[:]))
	}
	p.Clients = append(p.Clients, out)
}

// AddUser adds a user, or a sentence about why they are left out.
func (p *Portable) AddUser(u subject.Person) {
	if u.NumberLost {
		p.LeftOut = append(p.LeftOut, fmt.Sprintf("user %s: their number belongs to another user now", u.Sub))
		return
	}
	p.Users = append(p.Users, PortableUser{
		Sub:          u.Sub,
		Number:       u.Number.E164(),
		TruecallerID: u.TruecallerID,
		OAuthSub:     u.OAuthSub,
		Created:      u.Created.UTC(),
		LastSignIn:   u.LastSignIn.UTC(),
		VerifiedAt:   u.VerifiedAt.UTC(),
	})
}

// Errors of ReadPortable.
var (
	ErrNotPortable   = errors.New("admin: the file is not an export of calleridp")
	ErrNewerPortable = errors.New("admin: the file was exported by a newer version of calleridp")
)

// ReadPortable reads a file that was exported, strictly.
func ReadPortable(raw []byte) (Portable, error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(raw, &version); err != nil || version.Format < 1 {
		return Portable{}, ErrNotPortable
	}
	if version.Format > PortableFormat {
		return Portable{}, fmt.Errorf("%w (format %d, this version knows up to %d)", ErrNewerPortable, version.Format, PortableFormat)
	}
	var p Portable
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return Portable{}, fmt.Errorf("%w: %s", ErrNotPortable, strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return Portable{}, fmt.Errorf("%w: there is more behind its end", ErrNotPortable)
	}
	return p, nil
}

// client returns the client as it is stored.
func (p PortableClient) client() (client.Client, error) {
	c, err := registered(p.Client)
	if err != nil {
		return c, err
	}
	for _, text := range p.SecretHashes {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != len(client.SecretHash{}) {
			return c, errors.New("client_secret_sha256 must have 64 hexadecimal digits")
		}
		c.SecretHashes = append(c.SecretHashes, client.SecretHash(raw))
	}
	return c, nil
}

// person returns the user as they are stored.
func (u PortableUser) person() (subject.Person, error) {
	number, err := phone.Parse(u.Number, "")
	switch {
	case err != nil || number.E164() != u.Number:
		return subject.Person{}, errors.New("phone_number must be in E.164, like +46701740605")
	case !subject.IsSub(u.Sub):
		return subject.Person{}, errors.New("sub must have 22 characters of base64url")
	case u.Created.IsZero():
		return subject.Person{}, errors.New("created is missing")
	}
	for _, at := range []time.Time{u.Created, u.LastSignIn, u.VerifiedAt} {
		if !at.IsZero() && !canHaveBeen(at) {
			return subject.Person{}, errors.New("created, last_sign_in and verified_at must be times between 1970 and now")
		}
	}
	return subject.Person{
		Sub:          u.Sub,
		Number:       number,
		TruecallerID: u.TruecallerID,
		OAuthSub:     u.OAuthSub,
		Created:      u.Created,
		LastSignIn:   u.LastSignIn,
		VerifiedAt:   u.VerifiedAt,
	}, nil
}

// otherClock is how far the clock of the server that wrote a file may be ahead of ours.
const otherClock = time.Hour

// canHaveBeen reports whether a time of a file is one in the past. A last sign-in in the
// future would keep a number with its first user, however long ago somebody else got it
// (subject.Policy).
func canHaveBeen(at time.Time) bool {
	return at.Unix() >= 0 && at.Before(time.Now().Add(otherClock))
}
