// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/redact"
)

// Key is an API key. Only the SHA-256 of its secret is kept, which suffices for 256 random
// bits.
type Key struct {
	ID       string // 11 characters of base64url, public
	Hash     redact.Hash
	Name     string // whose it is
	Scopes   []Scope
	By       string // who made it
	Created  time.Time
	Expires  time.Time
	LastUsed time.Time // within a minute; zero: never
}

// Bounds of a key's life.
const (
	ShortestLife = time.Minute
	LongestLife  = 366 * 24 * time.Hour
)

// usedEvery is how exact LastUsed is: a key that is used all the time costs a write in that.
const usedEvery = time.Minute

// Errors of keys.
var (
	// ErrNotFound means that there is no key with this ID, or that it has expired.
	ErrNotFound = errors.New("apikey: not found")
	// ErrUnauthenticated means that a text is no key, or none that is valid; callers cannot
	// tell which.
	ErrUnauthenticated = errors.New("apikey: not a valid key")
)

// Store keeps keys until they expire. Writes are durable when they return.
type Store interface {
	CreateAPIKey(ctx context.Context, k Key) error
	// APIKey returns the key with this ID, or ErrNotFound.
	APIKey(ctx context.Context, id string) (Key, error)
	// APIKeys returns all keys, in no order.
	APIKeys(ctx context.Context) ([]Key, error)
	// UseAPIKey stores when a key was used last; ErrNotFound if there is none.
	UseAPIKey(ctx context.Context, id string, at time.Time) error
	// DeleteAPIKey deletes a key, or returns ErrNotFound.
	DeleteAPIKey(ctx context.Context, id string) error
}

const (
	prefix   = "calleridp_" // by which scanners for leaked secrets find one
	idLength = 11
)

// New returns a key that is not stored yet, with the text that its holder presents, which
// cannot be made again.
func New(name string, scopes []Scope, by string, now time.Time, life time.Duration) (Key, string) {
	id, secret := keys.RandomText(8), keys.RandomText(32)
	k := Key{ID: id, Hash: sha256.Sum256([]byte(secret)), Name: name, Scopes: scopes, By: by, Created: now, Expires: now.Add(life)}
	return k, prefix + id + secret
}

// Authenticate returns the key that a text is, or ErrUnauthenticated. It compares in constant
// time, for an unknown ID too. A text that cannot be a key costs the store nothing.
func Authenticate(ctx context.Context, store Store, text string, now time.Time) (Key, error) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || len(rest) != idLength+43 {
		return Key{}, ErrUnauthenticated
	}
	k, err := store.APIKey(ctx, rest[:idLength])
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Key{}, err
	}
	hash := sha256.Sum256([]byte(rest[idLength:])) // no secret has the hash zero
	if subtle.ConstantTimeCompare(hash[:], k.Hash[:]) != 1 || !now.Before(k.Expires) {
		return Key{}, ErrUnauthenticated
	}
	if now.Sub(k.LastUsed) >= usedEvery {
		// A key that is deleted meanwhile is not valid any more.
		if err := store.UseAPIKey(ctx, k.ID, now); errors.Is(err, ErrNotFound) {
			return Key{}, ErrUnauthenticated
		} else if err != nil {
			return Key{}, err
		}
	}
	return k, nil
}
