// SPDX-License-Identifier: Apache-2.0

package config

// Limits are the rate limits: how often users' phones may be prompted.
type Limits struct {
	// Lock is how long a number stays locked for one open request, and for everybody after
	// its user declined one. It should be at least lifetimes.attempt. Default 5m.
	Lock Duration `yaml:"lock"`
	// AfterApproval is how long a number stays locked after its user approved, for
	// other browsers than the one that was approved: the next prompt on the phone
	// would look like the last one. Default 2m.
	AfterApproval Duration `yaml:"after_approval"`
	// CoolDown is how long a number cools down after its user declined a request, or did
	// not respond to two. It doubles with each further one, up to cool_down_max. Meanwhile
	// a browser that has not signed in with the number must solve a challenge, whatever
	// limits.challenge says. An approval ends it. A browser that has signed in with it must
	// solve one for cool_down after a decline of its own request only. After a decline,
	// each waits for lock first. It should be at least lock. Default 15m.
	CoolDown Duration `yaml:"cool_down"`
	// CoolDownMax is the longest cool-down. After each such time without a request, one is
	// forgotten. Default 4h, or cool_down if that is longer.
	CoolDownMax Duration `yaml:"cool_down_max"`
	// Number is how many requests to one number browsers may send that have not signed in
	// with it, all together. A request that its user approves does not count. Default 10/24h.
	Number Rate `yaml:"number"`
	// NumberPerNetwork is how many of them may come from one IPv4 address or IPv6 /64; from
	// an IPv4 /24 and an IPv6 /48, twice as many. So one network cannot use up a number's
	// requests, and the number stays open to others. Default three tenths of number, but at
	// least 3 if number is: 3/24h.
	NumberPerNetwork Rate `yaml:"number_per_network"`

	Device     Rate `yaml:"device"`     // requests to one number from a browser that has signed in with it before, whatever other browsers do. Default twice number.
	Network    Rate `yaml:"network"`    // requests from one IPv4 address or IPv6 /64; from browsers that know their number, as many again. Default 30/1h.
	Network56  Rate `yaml:"network_56"` // requests from one IPv6 /56. Default four times network.
	Network48  Rate `yaml:"network_48"` // requests from one IPv6 /48. Default sixteen times network.
	Client     Rate `yaml:"client"`     // requests through one client. Default 3000/1h.
	Deployment Rate `yaml:"deployment"` // all requests. Default 10000/1h.

	// One-tap and native sign-ins ring no phone, and spend nothing that requests to
	// phones need.

	SilentNetwork    Rate `yaml:"silent_network"`    // one-tap and native sign-ins, which ring no phone, from one IPv4 address or IPv6 /64; from a /56 four times, from a /48 sixteen times as many. Default as network.
	SilentClient     Rate `yaml:"silent_client"`     // one-tap and native sign-ins through one client. Default as client.
	SilentDeployment Rate `yaml:"silent_deployment"` // all one-tap and native sign-ins. Default as deployment.

	// Challenge requires browsers to solve a small task (proof of work) before a push
	// is sent: off (default: only while a number cools down), auto (also when half of a
	// budget is spent that it shares with others: its network's, the client's or the
	// deployment's) or always. This server creates and checks the task; no third party is involved. It
	// needs JavaScript; without it, the page says when to try again.
	Challenge string `yaml:"challenge"`
	// ChallengeBits is its difficulty, from 8 to 22; each step doubles the work.
	// Default 18: under a second on a computer, a few seconds on a simple phone.
	ChallengeBits Bits `yaml:"challenge_bits"`
}
