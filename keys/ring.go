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

// Config is what a Ring needs. Store, Master and Log are required.
type Config struct {
	Store  Store
	Master *Master
	Log    *slog.Logger

	// RotateEvery is how long a key signs; default 30 days, 0 means the default,
	// negative never rotates by itself.
	RotateEvery time.Duration
	// PublishBefore is how long a key is in the JWKS before it signs, so that
	// clients that cache it know the key; default 24 hours.
	PublishBefore time.Duration
	// RetireFor is how long a retired key stays in the JWKS: the longest life of
	// a token that it signed, and how long an expired ID token is accepted as a
	// hint; default 7 days.
	RetireFor time.Duration
}

// Errors of OpenRing, Rotate and Remove.
var (
	// ErrUnreadable says that the set exists and cannot be used. New keys are
	// never made in its place.
	ErrUnreadable = errors.New("keys: the stored signing keys cannot be used")
	// ErrNoKey says that there is no key with this kid.
	ErrNoKey = errors.New("keys: there is no such key")
	// ErrInUse says that a key is not retired, so that it cannot be removed.
	ErrInUse = errors.New("keys: the key is not retired; rotate first")
	// ErrTooYoung says that a next key has not been published long enough.
	ErrTooYoung = errors.New("the next key has not been published long enough for clients to know it")
)

// Ring is the set of signing keys in use. It is safe for concurrent use, and
// several rings, in one process or many, may share a store.
type Ring struct {
	Config
	mu      sync.Mutex // one change at a time
	current atomic.Pointer[snapshot]
}

// OpenRing takes the stored signing keys into use. They are made when none was
// ever stored, and only then: a set that exists and cannot be used is
// ErrUnreadable, with what to do, because new keys in its place would void every
// token and hide the loss.
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
	r := &Ring{Config: c}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Ring) open(ctx context.Context) error {
	records, version, err := r.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if version > 0 {
		return r.use(records, version)
	}
	if records, err = r.firstKeys(time.Now()); err != nil {
		return err
	}
	err = r.Store.ReplaceSigningKeys(ctx, records, 0)
	if err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("keys: storing the first signing keys: %w", err)
	}
	if err == nil {
		r.Log.InfoContext(ctx, "the first signing keys were made")
	}
	// After a conflict somebody else's first keys are there.
	return r.reload(ctx)
}

// firstKeys makes two keys of each algorithm: one that signs at once, because
// nobody can have cached a set before it existed, and the one after it.
func (r *Ring) firstKeys(now time.Time) ([]Record, error) {
	var records []Record
	for _, alg := range algorithms {
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

// reload takes the stored set into use, if it is not already. r.mu is held.
func (r *Ring) reload(ctx context.Context) error {
	records, version, err := r.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if s := r.current.Load(); s != nil && s.version == version {
		return nil
	}
	return r.use(records, version)
}

func (r *Ring) use(records []Record, version uint64) error {
	s, err := r.snapshotOf(records, version)
	if err != nil {
		return err
	}
	if was := r.current.Swap(s); was != nil {
		for _, alg := range algorithms {
			if kid := s.signers[alg].kid; kid != was.signers[alg].kid {
				r.Log.Info("a signing key takes over", "alg", alg, "kid", kid, "before", was.signers[alg].kid)
			}
		}
	}
	return nil
}

// change stores what next makes of the set, and takes it into use. When somebody
// else was faster, next is asked again with the new set. A set that next returns
// as nil stays as it is.
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
		err = r.Store.ReplaceSigningKeys(ctx, changed, was.version)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("keys: storing the signing keys: %w", err)
		}
		return r.reload(ctx)
	}
}

// Rotate makes the next key of each algorithm sign, retires the one that did,
// and publishes a new next one. Keys rotate all or none: a next key that has
// been public for less than PublishBefore is ErrTooYoung, unless force says that
// clients which cache the JWKS may refuse tokens until they fetch it again.
func (r *Ring) Rotate(ctx context.Context, force bool) error {
	return r.change(ctx, func(records []Record, now time.Time) ([]Record, error) {
		for _, k := range records {
			if from := k.Created.Add(r.PublishBefore); k.State == Next && now.Before(from) && !force {
				return nil, fmt.Errorf("%w: %s may rotate from %s; a forced rotation fails clients that cache the JWKS until they fetch it again",
					ErrTooYoung, k.Algorithm, from.UTC().Format("2006-01-02 15:04 MST"))
			}
		}
		return r.promote(records, algorithms, now)
	})
}

// Remove takes a retired key out of the JWKS at once, before its last token has
// expired: after its theft, so that what a thief signs is no longer accepted as
// soon as clients fetch the JWKS again. ErrNoKey, ErrInUse.
func (r *Ring) Remove(ctx context.Context, kid string) error {
	return r.change(ctx, func(records []Record, _ time.Time) ([]Record, error) {
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

// promote moves the keys of these algorithms on by one state.
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

// Run rotates on schedule, forgets keys whose last token has expired, and takes
// up what other rings over the same store have changed, until ctx ends.
func (r *Ring) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		if err := r.tend(ctx); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "the signing keys could not be tended; the ones in use go on signing", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (r *Ring) tend(ctx context.Context) error {
	return r.change(ctx, func(records []Record, now time.Time) ([]Record, error) {
		due := r.due(records, now)
		kept := slices.DeleteFunc(slices.Clone(records), func(k Record) bool {
			return k.State == Retired && now.Sub(k.Retired) >= r.RetireFor
		})
		if len(due) == 0 && len(kept) == len(records) {
			return nil, nil
		}
		return r.promote(kept, due, now)
	})
}

// due lists the algorithms whose key has signed for long enough, and whose next
// one has been public for long enough.
func (r *Ring) due(records []Record, now time.Time) []string {
	if r.RotateEvery < 0 {
		return nil
	}
	var algs []string
	for _, alg := range algorithms {
		old := slices.ContainsFunc(records, func(k Record) bool {
			return k.Algorithm == alg && k.State == Active && now.Sub(k.Activated) >= r.RotateEvery
		})
		known := slices.ContainsFunc(records, func(k Record) bool {
			return k.Algorithm == alg && k.State == Next && now.Sub(k.Created) >= r.PublishBefore
		})
		if old && known {
			algs = append(algs, alg)
		}
	}
	return algs
}

// Info is what may be told about a key.
type Info struct {
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	State     State     `json:"state"`
	Created   time.Time `json:"created"`
	Activated time.Time `json:"activated,omitzero"`
	Retired   time.Time `json:"retired,omitzero"`
}

// Keys lists the set, by algorithm and then by age.
func (r *Ring) Keys() []Info {
	var all []Info
	for _, alg := range algorithms {
		for _, k := range r.current.Load().records {
			if k.Algorithm == alg {
				all = append(all, Info{ID: k.ID, Algorithm: k.Algorithm, State: k.State, Created: k.Created, Activated: k.Activated, Retired: k.Retired})
			}
		}
	}
	return all
}
