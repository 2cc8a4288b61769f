// SPDX-License-Identifier: Apache-2.0

// Package crowd fills a database with made-up people, through the engine's own import, to
// measure what many people cost (go run ./test/load -people). Every record is sealed as
// the engine seals it; nothing but the record being written is in memory.
package crowd

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"calleridp/keys"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/postgres"
	"calleridp/storage/record"
	"calleridp/storage/transfer"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"

	"github.com/jackc/pgx/v5"
)

// Every so many of the people have one.
const (
	SessionEvery = 5
	GrantEvery   = 5 // with a refresh token
	TokenEvery   = 50
	ConsentEvery = 2
)

// Crowd is made-up people, each made from their index alone.
type Crowd struct {
	People int
	client string
	master *keys.Master
	sealer record.Sealer
	issuer string
	now    time.Time
}

// New returns people whose grants are those of a client, sealed under the master key in a
// file.
func New(masterFile, issuer, client string, people int) (*Crowd, error) {
	if people > 100_000_000 {
		return nil, errors.New("crowd: at most 100000000 people have a number")
	}
	master, err := keys.LoadMaster(masterFile)
	if err != nil {
		return nil, fmt.Errorf("crowd: %w", err)
	}
	return &Crowd{People: people, client: client, master: master, sealer: record.NewSealer(master), issuer: issuer, now: time.Now()}, nil
}

// Phone returns the number of a person: digits with a plus.
func (c *Crowd) Phone(i int) string { return fmt.Sprintf("+9190%08d", i) }

// AccessToken returns the i-th access token.
func (c *Crowd) AccessToken(i int) string {
	sum := hash("access token", i*TokenEvery)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// RefreshToken returns the refresh token of the i-th grant.
func (c *Crowd) RefreshToken(i int) string {
	mac := func(parts ...[]byte) [32]byte { return c.master.MAC(keys.PurposeRefreshToken, parts...) }
	return grant.RefreshToken(mac, id("grant", i*GrantEvery), 1)
}

// Fill makes the store of these people in an empty database. Indexes are built at the end.
// progress, if not nil, is called after each kind of record, and without a number after
// each index.
func (c *Crowd) Fill(ctx context.Context, dsn string, progress func(what string, records int)) error {
	if progress == nil {
		progress = func(string, int) {}
	}
	if err := c.fill(ctx, dsn, progress); err != nil {
		return fmt.Errorf("crowd: %w", err)
	}
	return nil
}

func (c *Crowd) fill(ctx context.Context, dsn string, progress func(what string, records int)) error {
	options := postgres.Options{DSN: redact.Text(dsn)}
	target, err := postgres.OpenTarget(ctx, c.master, options) // which makes the tables
	if err == nil {
		err = target.Close()
	}
	if err != nil {
		return err
	}
	db, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	var tables []string
	for _, w := range c.writes() {
		if w.kind != &record.Meta {
			tables = append(tables, w.kind.Name)
		}
	}
	indexes, err := takeIndexes(ctx, db, tables)
	if err != nil {
		return err
	}
	if target, err = postgres.OpenTarget(ctx, c.master, options); err != nil {
		return err
	}
	for _, w := range c.writes() {
		n := 0
		if err = target.Write(ctx, w.kind, c.records(w, &n)); err != nil {
			break
		}
		progress(w.kind.Name, n)
	}
	if err == nil {
		err = target.Commit(ctx)
	}
	if err = errors.Join(err, target.Close()); err != nil {
		return err
	}
	for _, x := range indexes {
		if err := x.make(ctx, db); err != nil {
			return fmt.Errorf("index %s: %w", x.name, err)
		}
		progress("index "+x.name, 0)
	}
	return nil
}

// write is how one kind of record is made for every so many of the people.
type write struct {
	kind  *record.Kind
	every int
	of    func(i int) (key []byte, until time.Time, r record.Record)
}

func (c *Crowd) records(w write, n *int) iter.Seq2[transfer.Stored, error] {
	return func(yield func(transfer.Stored, error) bool) {
		for i := 0; i < c.People; i += w.every {
			key, until, r := w.of(i)
			if !yield(transfer.Stored{Key: key, Value: c.sealer.Seal(w.kind, key, until, r), Record: r}, nil) {
				return
			}
			*n++
		}
	}
}

func (c *Crowd) writes() []write {
	const day = 24 * time.Hour
	return []write{
		{&record.Meta, c.People, func(int) ([]byte, time.Time, record.Record) {
			issuer := record.Text(c.issuer)
			return record.IssuerKey, time.Time{}, &issuer
		}},
		{&record.People, 1, func(i int) ([]byte, time.Time, record.Record) {
			p := c.person(i)
			return []byte(p.Sub), time.Time{}, (*record.Person)(&p)
		}},
		{&record.Numbers, 1, func(i int) ([]byte, time.Time, record.Record) {
			key, sub := c.sealer.NumberKeys(c.number(i))[0], record.Text(id("sub", i))
			return key[:], time.Time{}, &sub
		}},
		{&record.Consents, ConsentEvery, func(i int) ([]byte, time.Time, record.Record) {
			k := consent.Consent{Sub: id("sub", i), ClientID: c.client, Scopes: scopes, Created: c.now, LastUsed: c.now}
			return append([]byte{0, byte(len(k.Sub))}, k.Sub+k.ClientID...), time.Time{}, (*record.Consent)(&k)
		}},
		{&record.Sessions, SessionEvery, func(i int) ([]byte, time.Time, record.Record) {
			s := session.Session{
				ID: id("session", i), Secret: hash("cookie", i), Sub: id("sub", i), AuthTime: c.now, ACR: acr, AMR: amr,
				Created: c.now, Expires: c.now.Add(day), LastUsed: c.now,
				Device: session.Device{Browser: "Chrome", OS: "Android"}, Country: "IN",
			}
			return s.Secret[:], s.Expires, (*record.Session)(&s)
		}},
		{&record.Grants, GrantEvery, func(i int) ([]byte, time.Time, record.Record) {
			g := grant.Grant{
				ID: id("grant", i), ClientID: c.client, Sub: id("sub", i), SID: id("session", i), Scopes: scopes, Nonce: id("nonce", i),
				AuthTime: c.now, ACR: acr, AMR: amr, Created: c.now, Expires: c.now.Add(30 * day),
				Offline: true, Generation: 1, Rotated: c.now,
			}
			return []byte(g.ID), g.Expires, (*record.Grant)(&g)
		}},
		{&record.AccessTokens, TokenEvery, func(i int) ([]byte, time.Time, record.Record) {
			a := grant.AccessToken{
				Hash: grant.HashToken(redact.Text(c.AccessToken(i / TokenEvery))), GrantID: id("grant", i), Scopes: scopes,
				Issued: c.now, Expires: c.now.Add(day),
			}
			return a.Hash[:], a.Expires, (*record.AccessToken)(&a)
		}},
	}
}

// acr is as long as that of the program.
const acr = "urn:calleridp:acr:push"

var (
	scopes = []string{"openid", "phone", "profile", "email", "offline_access"}
	amr    = []string{"user"}
)

// person has what most profiles have, and no more.
func (c *Crowd) person(i int) subject.Person {
	return subject.Person{
		Sub: id("sub", i), Number: c.number(i), // no TruecallerID: with another one than the simulator's they would be other people
		Created: c.now, LastSignIn: c.now, VerifiedAt: c.now,
		Profile: truecaller.Profile{
			ID: id("truecaller", i), UserID: id("user", i), Numbers: []phone.Number{c.number(i)}, FirstName: "Priya", LastName: "Ramanathan",
			Email: fmt.Sprintf("priya.ramanathan.%d@mail.example", i), Gender: "Female",
			AvatarURL: "https://images.example/myview/1/" + id("avatar", i) + "/1",
			Addresses: []truecaller.Address{{City: "Chennai", CountryCode: "IN"}},
			Badges:    []string{"user"}, UpdatedAt: c.now,
		},
	}
}

func (c *Crowd) number(i int) phone.Number {
	n, err := phone.FromDigits(c.Phone(i))
	if err != nil {
		panic(err) // New has counted them
	}
	return n
}

// hash is as random as what it stands for.
func hash(what string, i int) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what), uint64(i)))
}

// id is 22 characters of base64url, like those of the program.
func id(what string, i int) string {
	sum := hash(what, i)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
