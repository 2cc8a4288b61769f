// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"encoding/base64"
	"errors"
	"time"
)

// Head is how far a chain had come when the store was told. It is what shows that the end
// of a chain was cut off.
type Head struct {
	Server string    `json:"server"`
	First  uint64    `json:"first"`  // the number of the oldest line that is kept
	Seq    uint64    `json:"seq"`    // of the newest line that was on the disk; 0: unchanged, see AdvanceAuditHead
	Digest Digest    `json:"digest"` // the mac of that line
	Time   time.Time `json:"time"`   // when the store was told
}

// Digest is a mac as bytes.
type Digest [32]byte

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, d[:]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) error {
	raw, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil || len(raw) != len(d) {
		return errors.New("trail: not a digest")
	}
	copy(d[:], raw)
	return nil
}

// Merge returns the head after another one was told: neither first nor last line move back.
// gone means that no line is left, and nothing needs to be stored.
func (h Head) Merge(told Head) (merged Head, gone bool) {
	h.Server = told.Server
	h.First = max(h.First, told.First)
	if told.Seq > h.Seq {
		h.Seq, h.Digest, h.Time = told.Seq, told.Digest, told.Time
	}
	return h, h.First > h.Seq
}

// Heads keeps the heads of all chains, in the store.
type Heads interface {
	// AuditHeads returns them, in the order of their servers.
	AuditHeads(ctx context.Context) ([]Head, error)
	// AdvanceAuditHead merges a head with the stored one of its server (Head.Merge),
	// durably, and deletes it if no line is left.
	AdvanceAuditHead(ctx context.Context, h Head) error
}

func (h Head) mac() string { return base64.RawURLEncoding.EncodeToString(h.Digest[:]) }

// headOf returns the head of a place.
func headOf(server string, first uint64, p place, at time.Time) Head {
	h := Head{Server: server, First: first, Seq: p.seq, Time: at}
	digest, _ := base64.RawURLEncoding.DecodeString(p.mac) // our own
	copy(h.Digest[:], digest)
	return h
}
