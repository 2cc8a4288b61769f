// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"math"
	"time"

	"calleridp/provider/audit/trail"
	"calleridp/storage/backup"
	"calleridp/storage/bolt"
	"calleridp/storage/postgres"
	"calleridp/truecaller"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources report their state each time that Prometheus reads it.
type Sources struct {
	Store    func() bolt.Stats                  // nil: the store is a database
	Database func() postgres.Stats              // nil: the store is a file
	Backups  func() backup.Stats                // nil: this server makes none
	Inbox    func(context.Context) (int, error) // callbacks that are not processed yet
	Notices  func(context.Context) (int, error) // for clients, that wait
	Attempts func() int                         // attempts in this server's memory
	Pages    func() int                         // waiting pages
	Server   Server
	// CertificateEnds is when the certificate ends; the zero time: there is none.
	CertificateEnds func() time.Time
	Breakers        func() []truecaller.Breaker
	Audit           func() trail.Stats // nil: the log alone gets the audit
}

// Server knows the connections to the public listener.
type Server interface {
	Open() int
	Refused() uint64
}

// Watch adds the state of the sources. Call it once.
func (m *Metrics) Watch(s Sources) {
	commits := func() uint64 { return s.Store().Commits }
	if s.Store != nil {
		m.watchFile(s.Store)
	}
	if s.Backups != nil {
		m.watchBackups(s.Backups)
	}
	if s.Database != nil {
		m.watchDatabase(s.Database)
		commits = func() uint64 { return s.Database().Commits }
	}
	m.total("calleridp_store_commits_total",
		"Durable commits of the store.",
		func() float64 { return float64(commits()) })
	m.gauge("calleridp_inbox_deliveries",
		"Callbacks in the inbox that are not processed yet.",
		func() float64 { return orNaN(s.Inbox) }, nil)
	m.gauge("calleridp_notices_waiting",
		"Notices for clients that are not delivered yet, like those of back-channel logout.",
		func() float64 { return orNaN(s.Notices) }, nil)
	m.gauge("calleridp_live_attempts",
		"Attempts in this server's memory: those under way, and those with an open page.",
		func() float64 { return float64(s.Attempts()) }, nil)
	m.gauge("calleridp_waiting_pages",
		"Browser pages that wait over a live connection: each open event stream counts once.",
		func() float64 { return float64(s.Pages()) }, nil)
	m.gauge("calleridp_connections",
		"Open connections to the public listener.",
		func() float64 { return float64(s.Server.Open()) }, nil)
	m.total("calleridp_connections_refused_total",
		"Requests and connections that the limits of connections refused.",
		func() float64 { return float64(s.Server.Refused()) })
	m.gauge("calleridp_certificate_end_seconds",
		"When the certificate of the public listener ends, in seconds since 1970; NaN if the server speaks plain HTTP, or has none yet.",
		func() float64 { return secondsOrNaN(s.CertificateEnds()) }, nil)
	if s.Audit != nil {
		m.total("calleridp_audit_lines_total",
			"Lines of the audit that were written.",
			func() float64 { return float64(s.Audit().Written) })
		m.total("calleridp_audit_lost_total",
			"Events that have no line in the audit: it could not be written, or was slower than they came. Any increase deserves an alert.",
			func() float64 { return float64(s.Audit().Lost) })
		m.gauge("calleridp_audit_failing",
			"1 while the audit cannot be written. Changes of operators are refused meanwhile.",
			func() float64 {
				if s.Audit().Failing {
					return 1
				}
				return 0
			}, nil)
	}
	m.registry.MustRegister(breakers{s.Breakers})
}

// watchFile adds the state of the embedded engine.
func (m *Metrics) watchFile(stats func() bolt.Stats) {
	m.total("calleridp_store_failed_commits_total",
		"bolt: commits that failed: the disk is full or broken, or the file was moved away. After one, /readyz responds with 503 until a commit succeeds.",
		func() float64 { return float64(stats().Failures) })
	m.total("calleridp_store_operations_total",
		"bolt: write operations in those commits.",
		func() float64 { return float64(stats().Operations) })
	m.gauge("calleridp_store_bytes",
		"bolt: size of the store's file.",
		func() float64 { return float64(stats().Bytes) }, nil)
}

// watchBackups adds how backups of the file went.
func (m *Metrics) watchBackups(stats func() backup.Stats) {
	m.total("calleridp_backups_total",
		"bolt: backups that this server has made since its start.",
		func() float64 { return float64(stats().Made) })
	m.total("calleridp_backup_failures_total",
		"bolt: backups that failed.",
		func() float64 { return float64(stats().Failures) })
	m.gauge("calleridp_backup_time_seconds",
		"bolt: when the newest backup in backup.dir was made (Unix time), 0 if there is none. Alert when it is older than twice backup.every.",
		func() float64 {
			if last := stats().Last; !last.IsZero() {
				return float64(last.Unix())
			}
			return 0
		}, nil)
}

// watchDatabase adds the state of this process's connections to the database.
func (m *Metrics) watchDatabase(stats func() postgres.Stats) {
	m.total("calleridp_store_retries_total",
		"postgres: transactions that ran again because another one was in their way.",
		func() float64 { return float64(stats().Retries) })
	m.total("calleridp_store_outcomes_looked_up_total",
		"postgres: commits during which the connection broke, so that their outcome was looked up.",
		func() float64 { return float64(stats().Lookups) })
	m.total("calleridp_store_round_trips_total",
		"postgres: round trips to the database.",
		func() float64 { return float64(stats().Trips) })
	m.gauge("calleridp_store_connections",
		"postgres: open connections to the database.",
		func() float64 { return float64(stats().Connections) }, nil)
	m.total("calleridp_store_connection_waits_total",
		"postgres: operations that waited for a connection, because none was free. If it grows, the database is slow, or storage.max_connections too small.",
		func() float64 { return float64(stats().Waits) })
	m.total("calleridp_store_connection_wait_seconds_total",
		"postgres: how long they waited, without those that waited in vain.",
		func() float64 { return stats().Waited.Seconds() })
	m.gauge("calleridp_store_clock_ahead_seconds",
		"postgres: by how much the database's clock is ahead of this server's; less than a second counts as none.",
		func() float64 { return stats().ClockAhead.Seconds() }, nil)
	m.gauge("calleridp_store_reached",
		"postgres: 1 while the database can be reached and written to, else 0: then /readyz responds with 503.",
		func() float64 { return oneIf(stats().Reached) }, nil)
	m.gauge("calleridp_store_listening",
		"postgres: 1 while this server hears at once what the others change, 0 while it looks for it.",
		func() float64 { return oneIf(stats().Listening) }, nil)
	m.total("calleridp_store_listen_failures_total",
		"postgres: tries to listen to the other servers that failed, and listening connections that broke.",
		func() float64 { return float64(stats().ListenFailures) })
}

func secondsOrNaN(t time.Time) float64 {
	if t.IsZero() {
		return math.NaN()
	}
	return float64(t.Unix())
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// orNaN returns the number, or NaN if that fails or takes longer than a second.
func orNaN(number func(context.Context) (int, error)) float64 {
	ctx, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	n, err := number(ctx)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

// breakers collects the state of each circuit breaker.
type breakers struct{ all func() []truecaller.Breaker }

var breakerState = prometheus.NewDesc(
	"calleridp_truecaller_breaker",
	"1 for the current state of a circuit breaker, 0 for the others: closed, open, half_open.",
	[]string{"purpose", "host", "state"},
	nil,
)

func (b breakers) Describe(descs chan<- *prometheus.Desc) { descs <- breakerState }

func (b breakers) Collect(values chan<- prometheus.Metric) {
	for _, one := range b.all() {
		for _, state := range []truecaller.BreakerState{truecaller.BreakerClosed, truecaller.BreakerOpen, truecaller.BreakerHalfOpen} {
			value := 0.0
			if one.State == state {
				value = 1
			}
			values <- prometheus.MustNewConstMetric(breakerState, prometheus.GaugeValue, value,
				string(one.Purpose), one.Host, string(state))
		}
	}
}
