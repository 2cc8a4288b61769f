// SPDX-License-Identifier: Apache-2.0

// Package transfer copies everything that one engine has stored to another one, as a
// stream of sealed records. It knows no engine, and no engine knows another one.
//
// Values are carried as they are: every engine stores the same records under the same
// keys (storage/record), so the copy has the source's seals, expiries and versions. An
// engine makes what leads to them, indexes or columns, from the opened record.
package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"time"

	"calleridp/storage/record"
)

// Stored is a record as an engine stores it.
type Stored struct {
	Key, Value []byte
	// Record is what Value opens to. In what a Reader yields, it is nil.
	Record record.Record
}

// Reader is a store that does not change while it is read.
type Reader interface {
	// Count returns about how many records of a kind there are.
	Count(ctx context.Context, k *record.Kind) (int, error)
	// Records yields every record of a kind that has not expired at a moment, in the
	// order of their keys, or the error that ends it. A record is valid until the next
	// one. A kind that follows from another one is never asked for.
	Records(ctx context.Context, k *record.Kind, at time.Time) iter.Seq2[Stored, error]
}

// Writer is a store that is being made, and is none before Commit.
type Writer interface {
	// Write stores all records of a kind. It is called once for each kind that does not
	// follow from another one, in the order of Kinds, and ends with the first error that
	// it gets.
	Write(ctx context.Context, k *record.Kind, records iter.Seq2[Stored, error]) error
	// Written ends the writing, and returns what was written.
	Written(ctx context.Context) (Reader, error)
	// Commit makes it a store, durably.
	Commit(ctx context.Context) error
}

// Errors of Copy. Those that wrap them say what to do.
var (
	ErrEmpty    = errors.New("transfer: there is nothing to copy: no server has used the store yet")
	ErrIssuer   = errors.New("transfer: the store belongs to another issuer")
	ErrDamaged  = errors.New("transfer: a record is damaged")
	ErrDiffers  = errors.New("transfer: the copy differs from its source")
	ErrOutdated = errors.New("transfer: the store needs a newer version of calleridp")
)

// Options are those of a copy.
type Options struct {
	Sealer record.Sealer // of the master key of both stores
	Issuer string        // of both
	// SkipDamaged leaves out records that do not open. Those on which every other one
	// depends, the store's own facts and the signing keys, are never left out.
	SkipDamaged bool
	// Damaged, if not nil, is called for every record that is left out.
	Damaged func(kind, key string, err error)
	// Progress, if not nil, is called before each kind and after every few records.
	Progress func(Progress)
}

// Progress is how far a copy has come.
type Progress struct {
	Verifying bool // what was written is read back
	Kind      string
	Done, Of  int // records of the kind; Of is an estimate
}

// Count is how many records of a kind were copied.
type Count struct {
	Kind    string
	Records int
}

// Result is what was copied, and was found when the target was read back.
type Result struct {
	Counts  []Count // of every kind that does not follow from another one
	Records int
	Digest  [32]byte // see sum
	Damaged int      // records that were left out
}

// progressEvery is after how many records Progress is called.
const progressEvery = 1000

// Check reports whether there is a store to copy, and whether it is that of the issuer. It
// is for a caller who has not made a target yet.
func Check(ctx context.Context, from Reader, o Options) error {
	r := &reading{ctx: ctx, o: o, kind: &record.Meta, from: from, at: time.Now()}
	for _, err := range r.records {
		if err != nil {
			return err
		}
	}
	if !r.issuer {
		return ErrEmpty
	}
	return nil
}

// Copy copies every record that has not expired from a store to a new one, reads the new
// one back, compares counts and digests, and commits it.
func Copy(ctx context.Context, from Reader, to Writer, o Options) (Result, error) {
	if err := Check(ctx, from, o); err != nil {
		return Result{}, err
	}
	var result Result
	at := time.Now()
	sums := map[*record.Kind]sum{}
	for _, k := range Kinds() {
		r := &reading{ctx: ctx, o: o, kind: k, from: from, at: at}
		if err := to.Write(ctx, k, r.records); err != nil {
			return Result{}, err
		}
		sums[k] = r.sum
		result.Damaged += r.damaged
	}
	back, err := to.Written(ctx)
	if err != nil {
		return Result{}, err
	}
	var all sum
	for _, k := range Kinds() {
		r := &reading{ctx: ctx, o: o, kind: k, from: back, at: at, verifying: true}
		for _, err := range r.records {
			if err != nil {
				return Result{}, fmt.Errorf("%w: %w", ErrDiffers, err)
			}
		}
		if got, want := r.sum, sums[k]; got != want {
			return Result{}, fmt.Errorf("%w: of %s, %d records with the digest %x were read and %d with %x read back; nothing was stored; look at the disk, and copy again",
				ErrDiffers, k.Name, want.records, want.digest[:4], got.records, got.digest[:4])
		}
		all.join(r.sum)
		result.Counts = append(result.Counts, Count{k.Name, r.sum.records})
	}
	if err := to.Commit(ctx); err != nil {
		return Result{}, err
	}
	result.Records, result.Digest = all.records, all.digest
	return result, nil
}

// Verify opens every record of a store that has not expired, and returns what it found.
// each, if not nil, is called for every record; its error ends the reading.
func Verify(ctx context.Context, from Reader, o Options, each func(k *record.Kind, s Stored) error) (Result, error) {
	if err := Check(ctx, from, o); err != nil {
		return Result{}, err
	}
	var result Result
	var all sum
	at := time.Now()
	for _, k := range Kinds() {
		r := &reading{ctx: ctx, o: o, kind: k, from: from, at: at}
		for stored, err := range r.records {
			if err == nil && each != nil {
				err = each(k, stored)
			}
			if err != nil {
				return Result{}, err
			}
		}
		all.join(r.sum)
		result.Counts = append(result.Counts, Count{k.Name, r.sum.records})
		result.Damaged += r.damaged
	}
	result.Records, result.Digest = all.records, all.digest
	return result, nil
}

// Kinds returns the kinds that are copied, in their order: all but those that follow from
// another one.
func Kinds() (all []*record.Kind) {
	for _, k := range record.Kinds() {
		if !k.Follows() {
			all = append(all, k)
		}
	}
	return all
}

// reading opens the records of a kind, and adds them up.
type reading struct {
	ctx       context.Context
	o         Options
	kind      *record.Kind
	from      Reader
	at        time.Time
	verifying bool

	sum     sum
	damaged int
	issuer  bool // was among them
}

// records yields the records, opened.
func (r *reading) records(yield func(Stored, error) bool) {
	of, err := r.from.Count(r.ctx, r.kind)
	if err != nil {
		yield(Stored{}, err)
		return
	}
	r.progress(of)
	for stored, err := range r.from.Records(r.ctx, r.kind, r.at) {
		if err == nil {
			err = r.ctx.Err()
		}
		if err == nil {
			var left bool
			if left, err = r.open(&stored); left {
				continue
			}
		}
		if !yield(stored, err) || err != nil {
			return
		}
		r.sum.add(r.o.Sealer.Digest(r.kind, stored.Key, stored.Value, stored.Record))
		if r.sum.records%progressEvery == 0 {
			r.progress(of)
		}
	}
	r.progress(of)
}

func (r *reading) progress(of int) {
	if r.o.Progress != nil {
		r.o.Progress(Progress{Verifying: r.verifying, Kind: r.kind.Name, Done: r.sum.records, Of: max(of, r.sum.records)})
	}
}

// open opens a record, and reports whether it is left out.
func (r *reading) open(stored *Stored) (left bool, err error) {
	stored.Record = r.kind.New()
	err = r.o.Sealer.Open(r.kind, stored.Key, stored.Value, stored.Record)
	switch vital := r.kind == &record.Meta || r.kind == &record.SigningKeys; {
	case errors.Is(err, record.ErrNewer):
		return false, fmt.Errorf("%w: %w", ErrOutdated, err)
	case err != nil && r.verifying:
		return false, err
	case err != nil && vital:
		return false, fmt.Errorf("%w: %s, %s: %w; every other record depends on this one: restore the newest backup that has it, and copy that",
			ErrDamaged, r.kind.Name, name(stored.Key), err)
	case err != nil && !r.o.SkipDamaged:
		return false, fmt.Errorf("%w: %s, %s: %w; restore a backup that has it and copy that, or leave such records out: add --skip-damaged, which lists them",
			ErrDamaged, r.kind.Name, name(stored.Key), err)
	case err != nil:
		r.damaged++
		if r.o.Damaged != nil {
			r.o.Damaged(r.kind.Name, name(stored.Key), err)
		}
		return true, nil
	}
	if r.kind == &record.Meta && bytes.Equal(stored.Key, record.IssuerKey) {
		r.issuer = true
		if issuer := string(*stored.Record.(*record.Text)); issuer != r.o.Issuer {
			return false, fmt.Errorf("%w: it was made for %s, the configuration says %s; copy it with the configuration of its server",
				ErrIssuer, issuer, r.o.Issuer)
		}
	}
	return false, nil
}

// name returns how errors name a key. Keys tell no number and no secret.
func name(key []byte) string { return "key " + hex.EncodeToString(key) }

// sum is how many records there are, and the sum of their digests modulo 2^256, which
// does not depend on their order.
type sum struct {
	records int
	digest  [32]byte
}

// add adds the digest of a record.
func (s *sum) add(digest [32]byte) { s.join(sum{1, digest}) }

func (s *sum) join(more sum) {
	s.records += more.records
	var carry uint64
	for i := 24; i >= 0; i -= 8 {
		var word uint64
		word, carry = bits.Add64(binary.BigEndian.Uint64(s.digest[i:]), binary.BigEndian.Uint64(more.digest[i:]), carry)
		binary.BigEndian.PutUint64(s.digest[i:], word)
	}
}
