// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config configures a Ring. Store, Master and Log are required.
type Config struct {
	Store  Store
	Master *Master
	Log    *slog.Logger

	// RotateEvery is how long a key signs. If 0, it is 30 days. If negative, keys
	// rotate only when Rotate is called.
	RotateEvery time.Duration
	// PublishBefore is how long a key is in the JWKS before it signs, so that
	// clients which cache the JWKS know the key. If 0, it is 24 hours.
	PublishBefore time.Duration
	// RetireFor is how long a retired key stays in the JWKS: at least the lifetime
	// of the tokens that it signed, and how long an expired ID token is accepted
	// as a hint. If 0, it is 7 days.
	RetireFor time.Duration

	// Shared says that other processes use the same store. See fresh.go.
	Shared bool

	// Algorithms are those that have keys, two of each at least. RS256 is always among
	// them (OpenID Connect Discovery §3). If empty, UsualAlgorithms. Stored keys of others
	// neither sign nor appear in the JWKS; what they signed still verifies.
	Algorithms []string
}

// Errors of OpenRing, Rotate and Remove.
var (
	// ErrUnreadable means that a set is stored and cannot be used. It is never
	// replaced by new keys.
	ErrUnreadable = errors.New("keys: the stored signing keys cannot be used")
	// ErrNoKey means that no key has this kid.
	ErrNoKey = errors.New("keys: unknown key")
	// ErrInUse means that a key is not retired and cannot be removed.
	ErrInUse = errors.New("keys: the key is not retired; rotate first")
	// ErrNoAlgorithm means that the ring has no keys for an algorithm.
	ErrNoAlgorithm = errors.New("keys: no keys for this algorithm")
	// ErrTooYoung means that a next key has not been published for long enough.
	ErrTooYoung = errors.New("the next key has not been published long enough for clients to know it")
)

// Ring holds the signing keys in use. It is safe for concurrent use. Several
// rings, in one process or many, may share a store.
type Ring struct {
	cfg     Config     // checked by OpenRing, and never changed
	mu      sync.Mutex // one change at a time
	current atomic.Pointer[snapshot]
	checked atomic.Pointer[time.Time] // when the last read began whose set is in use

	reading sync.Mutex
	now     *reading // in progress; if nil, none is
}

// OpenRing starts to use the stored signing keys. Only if no set was ever stored
// does it generate one. If a stored set cannot be used, it returns ErrUnreadable
// with what to do: new keys would invalidate every token and hide the loss.
func OpenRing(ctx context.Context, c Config) (*Ring, error) {
	if c.Store == nil || c.Master == nil || c.Log == nil {
		return nil, errors.New("keys: Store, Master and Log are required")
	}
	if c.RotateEvery == 0 {
		c.RotateEvery = 30 * 24 * time.Hour
	}
	if c.PublishBefore <= 0 {
		c.PublishBefore = 24 * time.Hour
	}
	if c.RetireFor <= 0 {
		c.RetireFor = 7 * 24 * time.Hour
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = usual
	}
	if err := CheckAlgorithms(c.Algorithms); err != nil {
		return nil, err
	}
	r := &Ring{cfg: c}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Ring) open(ctx context.Context) error {
	begun := time.Now()
	records, version, err := r.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	lacking := r.cfg.Algorithms
	if version > 0 {
		lacking = r.lacking(records)
		if len(lacking) == 0 {
			return r.use(records, version, begun)
		}
		held := slices.DeleteFunc(r.Algorithms(), func(alg string) bool { return slices.Contains(lacking, alg) })
		if _, err := r.snapshotOf(records, version, held); err != nil {
			return err // nothing is added to what cannot be used
		}
	}
	first, err := r.firstKeys(lacking, time.Now())
	if err != nil {
		return err
	}
	err = r.cfg.Store.ReplaceSigningKeys(ctx, append(records, first...), version)
	if errors.Is(err, ErrConflict) { // another ring has stored a set
		return r.open(ctx)
	}
	if err != nil {
		return fmt.Errorf("keys: storing the first signing keys: %w", err)
	}
	r.cfg.Log.InfoContext(ctx, "the first signing keys were generated", "algorithms", lacking)
	return r.reload(ctx)
}

// lacking returns the algorithms that were turned on since the set was stored: those
// without any key that signs or will. RS256 is never one, so its keys were lost.
func (r *Ring) lacking(records []Record) []string {
	var lacking []string
	for _, alg := range r.cfg.Algorithms {
		held := slices.ContainsFunc(records, func(k Record) bool { return k.Algorithm == alg && k.State != Retired })
		if !held && alg != usual[0] {
			lacking = append(lacking, alg)
		}
	}
	return lacking
}

// firstKeys generates two keys for each algorithm: one that signs at once, because
// no token that another one signed is in use, and its successor.
func (r *Ring) firstKeys(algs []string, now time.Time) ([]Record, error) {
	var records []Record
	for _, alg := range algs {
		for _, state := range []State{Active, Next} {
			k, err := r.make(alg, state, now)
			if err != nil {
				return nil, err
			}
			records = append(records, k)
		}
	}
	return records, nil
}

// reload starts to use the stored set, unless it is in use already. The caller
// holds r.mu.
func (r *Ring) reload(ctx context.Context) error {
	begun := time.Now()
	records, version, err := r.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if s := r.current.Load(); s != nil && s.version == version {
		r.check(begun)
		return nil
	}
	return r.use(records, version, begun)
}

// use checks a set, whose reading has begun then, and starts to use it.
func (r *Ring) use(records []Record, version uint64, begun time.Time) error {
	s, err := r.snapshotOf(records, version, r.cfg.Algorithms)
	if err != nil {
		return err
	}
	if was := r.current.Swap(s); was != nil {
		for _, alg := range r.cfg.Algorithms {
			if kid := s.signers[alg].kid; kid != was.signers[alg].kid {
				r.cfg.Log.Info("a signing key takes over", "alg", alg, "kid", kid, "before", was.signers[alg].kid)
			}
		}
	}
	r.check(begun)
	return nil
}

// change stores the set that next returns, and starts to use it. After a
// concurrent change it calls next again with the new set. If next returns nil, the
// set stays as it is.
func (r *Ring) change(ctx context.Context, next func(records []Record, now time.Time) ([]Record, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if err := r.reload(ctx); err != nil {
			return err
		}
		was := r.current.Load()
		changed, err := next(slices.Clone(was.records), time.Now())
		if err != nil || changed == nil {
			return err
		}
		err = r.cfg.Store.ReplaceSigningKeys(ctx, changed, was.version)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("keys: storing the signing keys: %w", err)
		}
		return r.reload(ctx)
	}
}

// Rotate activates the next key of alg, retires the active one, and publishes a new
// next one; "" rotates all algorithms, or none of them after an error. If a next key
// has been published for less than PublishBefore, Rotate returns ErrTooYoung. With
// force it rotates all the same: clients which cache the JWKS may refuse tokens
// until they fetch it again.
func (r *Ring) Rotate(ctx context.Context, alg string, force bool) error {
	algs := r.cfg.Algorithms
	if alg != "" {
		if !slices.Contains(algs, alg) {
			return ErrNoAlgorithm
		}
		algs = []string{alg}
	}
	isNew := func(k Record, now time.Time) bool {
		return slices.Contains(algs, k.Algorithm) && k.State == Next && now.Sub(k.Created) < settled
	}
	return r.changeSettled(ctx, isNew, func(records []Record, now time.Time) ([]Record, error) {
		for _, k := range records {
			from := k.Created.Add(r.cfg.PublishBefore)
			if slices.Contains(algs, k.Algorithm) && k.State == Next && now.Before(from) && !force {
				return nil, fmt.Errorf("%w: %s may rotate from %s; a forced rotation fails clients that cache the JWKS until they fetch it again",
					ErrTooYoung, k.Algorithm, from.UTC().Format("2006-01-02 15:04 MST"))
			}
		}
		return r.promote(records, algs, now)
	})
}

// Remove removes a retired key from the JWKS before its last token has expired.
// After a theft of the key, clients refuse the thief's tokens as soon as they
// fetch the JWKS again. Remove returns ErrNoKey or ErrInUse if it cannot.
func (r *Ring) Remove(ctx context.Context, kid string) error {
	mayStillSign := func(k Record, now time.Time) bool {
		return k.ID == kid && now.Sub(k.Retired) < settled
	}
	return r.changeSettled(ctx, mayStillSign, func(records []Record, _ time.Time) ([]Record, error) {
		i := slices.IndexFunc(records, func(k Record) bool { return k.ID == kid })
		switch {
		case i < 0:
			return nil, ErrNoKey
		case records[i].State != Retired:
			return nil, ErrInUse
		}
		return slices.Delete(records, i, i+1), nil
	})
}

// promote moves the keys of these algorithms to their next state, and adds new
// next keys.
func (r *Ring) promote(records []Record, algs []string, now time.Time) ([]Record, error) {
	for _, alg := range algs {
		for i := range records {
			k := &records[i]
			switch {
			case k.Algorithm != alg:
			case k.State == Active:
				k.State, k.Retired = Retired, now
			case k.State == Next:
				k.State, k.Activated = Active, now
			}
		}
		next, err := r.make(alg, Next, now)
		if err != nil {
			return nil, err
		}
		records = append(records, next)
	}
	return records, nil
}

// Run rotates keys on schedule, removes keys whose last token has expired, and
// picks up changes that other rings made to the store, until ctx is done.
func (r *Ring) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		if err := r.tend(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Log.ErrorContext(ctx, "rotating the signing keys failed; the current keys stay in use", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// tend does what is due at this minute.
func (r *Ring) tend(ctx context.Context) error {
	return r.change(ctx, func(records []Record, now time.Time) ([]Record, error) {
		due := r.due(records, now)
		kept := slices.DeleteFunc(slices.Clone(records), func(k Record) bool {
			return k.State == Retired && now.Sub(k.Retired) >= r.cfg.RetireFor
		})
		if len(due) == 0 && len(kept) == len(records) {
			return nil, nil
		}
		return r.promote(kept, due, now)
	})
}

// due returns the algorithms whose active key has signed for long enough and whose
// next key has been published for long enough.
func (r *Ring) due(records []Record, now time.Time) []string {
	if r.cfg.RotateEvery < 0 {
		return nil
	}
	var algs []string
	for _, alg := range r.cfg.Algorithms {
		old := slices.ContainsFunc(records, func(k Record) bool {
			return k.Algorithm == alg && k.State == Active && now.Sub(k.Activated) >= r.cfg.RotateEvery
		})
		known := slices.ContainsFunc(records, func(k Record) bool {
			return k.Algorithm == alg && k.State == Next && now.Sub(k.Created) >= r.cfg.PublishBefore
		})
		if old && known {
			algs = append(algs, alg)
		}
	}
	return algs
}

// Info holds the public facts about a key.
type Info struct {
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	State     State     `json:"state"`
	Created   time.Time `json:"created"`
	Activated time.Time `json:"activated,omitzero"`
	Retired   time.Time `json:"retired,omitzero"`
}

// Keys returns the set, ordered by algorithm and then by age.
func (r *Ring) Keys() []Info {
	var all []Info
	for _, alg := range r.cfg.Algorithms {
		for _, k := range r.current.Load().records {
			if k.Algorithm == alg {
				all = append(all, Info{
					ID:        k.ID,
					Algorithm: k.Algorithm,
					State:     k.State,
					Created:   k.Created,
					Activated: k.Activated,
					Retired:   k.Retired,
				})
			}
		}
	}
	return all
}
