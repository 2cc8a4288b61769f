// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"path/filepath"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/limit"
)

// setDefaults sets what is unset.
func (c *Config) setDefaults() {
	orDefault(&c.Listen, ":8443")
	orDefault(&c.Log.Level, "info")
	orDefault(&c.Log.Format, "json")
	orDefault(&c.AdminSocket, filepath.Join(c.DataDir, "admin.sock"))
	if c.IsHTTPS() {
		orDefault(&c.TLS.HSTS, Delay{Duration: 365 * day, Set: true})
	}
	orDefault(&c.Storage.Engine, EngineBolt)
	orDefault(&c.Storage.Isolation, IsolationReadCommitted)
	orDefault(&c.Storage.Pooler, PoolerNone)
	orDefault(&c.Storage.MaxConnections, 20)
	orDefault(&c.Storage.StatementTimeout, Duration(10*time.Second))
	orDefault(&c.Storage.LockTimeout, min(Duration(5*time.Second), c.Storage.StatementTimeout))
	orDefault(&c.Storage.PoolTimeout, Duration(5*time.Second))
	c.Backup.setDefaults(c.DataDir)
	orDefault(&c.Truecaller.ID, "default")
	c.Truecaller.setDefaults()
	for i := range c.TruecallerApps {
		c.TruecallerApps[i].setDefaults()
	}
	orDefault(&c.Truecaller.Timeout, Duration(5*time.Second))
	orDefault(&c.Lifetimes.Attempt, Duration(5*time.Minute))
	orDefault(&c.Lifetimes.Code, Duration(time.Minute))
	orDefault(&c.Lifetimes.IDToken, Duration(time.Hour))
	orDefault(&c.Lifetimes.AccessToken, Duration(time.Hour))
	orDefault(&c.Lifetimes.RefreshMax, Duration(180*day))
	orDefault(&c.Lifetimes.RefreshIdle, min(Duration(30*day), c.Lifetimes.RefreshMax))
	orDefault(&c.Lifetimes.RefreshGrace, Duration(45*time.Second))
	orDefault(&c.Lifetimes.Session, Duration(day))
	orDefault(&c.Limits.Lock, Duration(5*time.Minute))
	orDefault(&c.Limits.AfterApproval, Duration(2*time.Minute))
	orDefault(&c.Limits.CoolDown, Duration(15*time.Minute))
	orDefault(&c.Limits.CoolDownMax, max(Duration(4*time.Hour), min(c.Limits.CoolDown, Duration(day))))
	orDefault(&c.Limits.Challenge, ChallengeOff)
	orDefault(&c.Limits.ChallengeBits, 18)
	orDefault(&c.Limits.Number, Rate{Burst: 10, Period: day})
	orDefault(&c.Limits.NumberPerNetwork, Rate(limit.Rate(c.Limits.Number).Share()))
	orDefault(&c.Limits.Device, Rate(limit.Rate(c.Limits.Number).Times(2)))
	orDefault(&c.Limits.Network, Rate{Burst: 30, Period: time.Hour})
	orDefault(&c.Limits.Network56, Rate(limit.Rate(c.Limits.Network).Times(4)))
	orDefault(&c.Limits.Network48, Rate(limit.Rate(c.Limits.Network).Times(16)))
	orDefault(&c.Limits.Client, Rate{Burst: 3000, Period: time.Hour})
	orDefault(&c.Limits.Deployment, Rate{Burst: 10000, Period: time.Hour})
	if len(c.Keys.Algorithms) == 0 {
		c.Keys.Algorithms = keys.UsualAlgorithms()
	}
	if len(c.ResponseTypes) == 0 {
		c.ResponseTypes = []string{string(client.TypeCode)}
	}
	orDefault(&c.Connections.Max, 20000)
	orDefault(&c.Connections.PerNetwork, min(1000, c.Connections.Max))
	orDefault(&c.Drain.ReadyDelay, Delay{Duration: 5 * time.Second, Set: true})
	orDefault(&c.Limits.SilentNetwork, c.Limits.Network)
	orDefault(&c.Limits.SilentClient, c.Limits.Client)
	orDefault(&c.Limits.SilentDeployment, c.Limits.Deployment)
	c.DeviceFlow.setDefaults()
	c.Audit.setDefaults(c.DataDir)
	orDefault(&c.Registration.Mode, RegistrationClosed)
	orDefault(&c.Registration.Network, Rate{Burst: 20, Period: time.Hour})
	orDefault(&c.Registration.Deployment, Rate{Burst: 100, Period: time.Hour})
	orDefault(&c.Registration.Max, 1000)
	orDefault(&c.Registration.UnusedFor, Duration(7*day))
	orDefault(&c.Keys.RotateEvery, Duration(30*day))
	orDefault(&c.Keys.PublishBefore, min(Duration(day), c.Keys.RotateEvery))
	if c.Tracing.Endpoint != "" {
		orDefault(&c.Tracing.Sample, 1)
	}
}

// setDefaults sets what is unset of an app.
func (c *Truecaller) setDefaults() {
	if len(c.Methods) == 0 {
		c.Methods = []string{MethodPush}
	}
	orDefault(&c.OAuthURL, "https://oauth-account-noneu.truecaller.com")
	orDefault(&c.APIURL, "https://api4.truecaller.com")
	if len(c.ProfileURLs) == 0 {
		c.ProfileURLs = []string{
			"https://profile4.truecaller.com",
			"https://profile4-noneu.truecaller.com",
			"https://profile4-eu.truecaller.com",
		}
	}
}

// orDefault sets a value that is unset.
func orDefault[T comparable](v *T, usual T) { *v = cmp.Or(*v, usual) }
