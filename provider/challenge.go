package provider

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"calleridp/keys"
	"calleridp/provider/login"
)

// A challenge makes each push cost its browser some work (Hashcash): to find a
// number that gives a hash with some zero bits takes 2 to their power tries on
// average, to check it takes one. It travels sealed in the sign-in form, so that
// showing a page stores nothing (invariant 1), and is used up in the transaction
// that creates the attempt (invariant 7).

// ChallengeMode says when a browser must solve a challenge.
type ChallengeMode string

// The modes.
const (
	ChallengeOff    ChallengeMode = ""
	ChallengeAuto   ChallengeMode = "auto"   // when its network's budget runs low: only the reserve is left
	ChallengeAlways ChallengeMode = "always" // before every push
)

// The bounds of the difficulty. A phone of the simpler kind hashes a hundred
// thousand times a second: it needs milliseconds for the least, and most of a
// minute for the most.
const (
	MinChallengeBits   = 8
	MaxChallengeBits   = 22
	usualChallengeBits = 18
)

// sealedChallenge is a challenge that we made, for one network.
type sealedChallenge struct {
	Seed    string `json:"s"` // 16 random bytes as base64url
	Bits    int    `json:"b"`
	Network string `json:"n"`
	Until   int64  `json:"e"` // seconds since 1970
}

func (c *Config) checkChallenge() error {
	switch c.Challenge {
	case ChallengeOff, ChallengeAuto, ChallengeAlways:
	default:
		return fmt.Errorf("provider: no challenge mode %q", c.Challenge)
	}
	if c.ChallengeBits == 0 {
		c.ChallengeBits = usualChallengeBits
	}
	if c.ChallengeBits < MinChallengeBits || c.ChallengeBits > MaxChallengeBits {
		return fmt.Errorf("provider: ChallengeBits is %d; it must be between %d and %d", c.ChallengeBits, MinChallengeBits, MaxChallengeBits)
	}
	return nil
}

// challenge is what a browser of this network must solve before it may submit a
// page that is good until then, in seconds since 1970; nil for nothing.
func (p *Provider) challenge(ctx context.Context, network string, until int64) (*ChallengeView, error) {
	var without time.Time
	switch p.Challenge {
	case ChallengeOff:
		return nil, nil
	case ChallengeAuto:
		tries, err := p.Engine.NetworkTries(ctx, network, false)
		if err != nil || tries.Left > 0 {
			return nil, err
		}
		without = tries.Next
	}
	made := sealedChallenge{Seed: NewSecret()[:22], Bits: p.ChallengeBits, Network: network, Until: until}
	sealed, err := p.seal(keys.PurposeChallenge, made)
	if err != nil {
		return nil, err
	}
	return &ChallengeView{Sealed: sealed, Seed: made.Seed, Bits: made.Bits, Without: without}, nil
}

// errUnsolved says that a submission has no solution of a challenge of ours.
var errUnsolved = errors.New("provider: the challenge is not solved")

// maxSolution is the most digits of a solution. With the seed before them they
// are less than a block of SHA-256.
const maxSolution = 16

// solved is the challenge that a submission's browser has solved, or an error
// that says what is wrong with the solution. It costs one hash at most, and
// changes nothing: using it up is for the engine.
func (p *Provider) solved(s Submission, now time.Time) (login.Solved, error) {
	if p.Challenge == ChallengeOff || s.Challenge == "" {
		return login.Solved{}, errUnsolved
	}
	given := new(sealedChallenge)
	if err := p.unseal(keys.PurposeChallenge, s.Challenge, given); err != nil {
		return login.Solved{}, fmt.Errorf("%w: it is none of ours", errUnsolved)
	}
	until := time.Unix(given.Until, 0)
	switch {
	case given.Network != s.Network:
		return login.Solved{}, fmt.Errorf("%w: it is another network's, %s", errUnsolved, given.Network)
	case !now.Before(until):
		return login.Solved{}, fmt.Errorf("%w: it is too old", errUnsolved)
	case !solves(given.Seed, given.Bits, s.Solution):
		return login.Solved{}, fmt.Errorf("%w: the solution is wrong", errUnsolved)
	}
	return login.Solved{ID: given.Seed, Until: until}, nil
}

// solves says whether the SHA-256 of seed and solution starts with so many zero
// bits.
func solves(seed string, zeros int, solution string) bool {
	if len(solution) == 0 || len(solution) > maxSolution || zeros < MinChallengeBits {
		return false
	}
	for i := range len(solution) {
		if solution[i] < '0' || solution[i] > '9' {
			return false
		}
	}
	hash := sha256.Sum256([]byte(seed + solution))
	return bits.LeadingZeros64(binary.BigEndian.Uint64(hash[:8])) >= zeros
}
