// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"calleridp/keys"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
)

// A challenge makes each push cost its browser some work (Hashcash): finding a
// number whose hash has n leading zero bits takes 2^n tries on average, checking
// it takes one. The challenge travels sealed in the sign-in form, so that showing
// a page stores nothing (invariant 1), and is used up in the transaction that
// creates the attempt (invariant 7).

// ChallengeMode says when a browser must solve a challenge.
type ChallengeMode string

// The modes. In each, a solved challenge also opens a number that cools down
// (limit.CoolDown).
const (
	ChallengeOff    ChallengeMode = ""       // nowhere else
	ChallengeAuto   ChallengeMode = "auto"   // when only the reserve of a budget is left that it shares with others
	ChallengeAlways ChallengeMode = "always" // before every push
)

// The bounds of the difficulty, in leading zero bits. A slow phone computes a
// hundred thousand hashes a second: milliseconds for the least, most of a minute
// for the most.
const (
	MinChallengeBits     = 8
	MaxChallengeBits     = 22
	defaultChallengeBits = 18
)

// challenges makes challenges and checks solutions.
type challenges struct {
	mode   ChallengeMode
	bits   int
	master *keys.Master
	tries  triesLeft
}

func newChallenges(mode ChallengeMode, bits int, master *keys.Master, tries triesLeft) (challenges, error) {
	switch mode {
	case ChallengeOff, ChallengeAuto, ChallengeAlways:
	default:
		return challenges{}, fmt.Errorf("authorize: unknown challenge mode %q", mode)
	}
	if bits == 0 {
		bits = defaultChallengeBits
	}
	if bits < MinChallengeBits || bits > MaxChallengeBits {
		return challenges{}, fmt.Errorf("authorize: ChallengeBits is %d; it must be between %d and %d", bits, MinChallengeBits, MaxChallengeBits)
	}
	return challenges{mode: mode, bits: bits, master: master, tries: tries}, nil
}

// sealedChallenge is a challenge for one network.
type sealedChallenge struct {
	Seed    string `json:"s"` // 16 random bytes as base64url
	Bits    int    `json:"b"`
	Network string `json:"n"`
	Until   int64  `json:"e"` // seconds since 1970
}

// Expiry implements endpoint.Box.
func (c *sealedChallenge) Expiry() int64 { return c.Until }

// forNetwork returns what a browser of this network must solve before it may
// submit this client's page, which expires at until, in seconds since 1970; nil for
// nothing.
func (cs challenges) forNetwork(ctx context.Context, network, clientID string, until int64) (*ChallengeView, error) {
	var without time.Time
	switch cs.mode {
	case ChallengeOff:
		return nil, nil
	case ChallengeAuto:
		tries, err := cs.tries.UnsolvedTries(ctx, network, clientID)
		if err != nil || tries.Left > 0 {
			return nil, err
		}
		without = tries.Next
	}
	return cs.make(network, until, without)
}

// make returns a new challenge for a network.
func (cs challenges) make(network string, until int64, without time.Time) (*ChallengeView, error) {
	challenge := sealedChallenge{Seed: keys.RandomText(16), Bits: cs.bits, Network: network, Until: until}
	sealed, err := endpoint.Seal(cs.master, keys.PurposeChallenge, challenge)
	if err != nil {
		return nil, err
	}
	return &ChallengeView{Sealed: sealed, Seed: challenge.Seed, Bits: challenge.Bits, Without: without}, nil
}

// errUnsolved means that a submission carries no solution of a challenge of ours.
var errUnsolved = errors.New("authorize: the challenge is not solved")

// solved returns the challenge that a submission solves, or an error that says
// what is wrong with the solution. It costs one hash at most and changes nothing:
// the engine uses the challenge up.
func (cs challenges) solved(s Submission, now time.Time) (login.Solved, error) {
	if s.Challenge == "" {
		return login.Solved{}, errUnsolved
	}
	var challenge sealedChallenge
	err := endpoint.Open(cs.master, keys.PurposeChallenge, s.Challenge, &challenge, now)
	expired := errors.Is(err, endpoint.ErrRequestExpired)
	switch {
	case err != nil && !expired:
		return login.Solved{}, fmt.Errorf("%w: it was not made here", errUnsolved)
	case challenge.Network != s.Network:
		return login.Solved{}, fmt.Errorf("%w: it belongs to another network, %s", errUnsolved, challenge.Network)
	case expired:
		return login.Solved{}, fmt.Errorf("%w: it is too old", errUnsolved)
	case !solves(challenge.Seed, challenge.Bits, s.Solution):
		return login.Solved{}, fmt.Errorf("%w: the solution is wrong", errUnsolved)
	}
	return login.Solved{ID: challenge.Seed, Until: time.Unix(challenge.Until, 0)}, nil
}

// maxSolution is the most digits of a solution. With the seed before them they
// fit a block of SHA-256.
const maxSolution = 16

// solves reports whether the SHA-256 of seed and solution starts with that many
// zero bits.
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
