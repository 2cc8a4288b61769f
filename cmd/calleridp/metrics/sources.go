package metrics

import (
	"context"
	"math"
	"time"

	"calleridp/storage/bolt"
	"calleridp/truecaller"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources report their state each time that Prometheus reads it.
type Sources struct {
	Store    func() bolt.Stats
	Inbox    func(context.Context) (int, error) // callbacks that are not processed yet
	Attempts func() int                         // attempts in this process's memory
	Pages    func() int                         // waiting pages
	Server   Server
	Breakers func() []truecaller.Breaker
}

// Server knows the connections to the public listener.
type Server interface {
	Open() int
	Refused() uint64
}

// Watch adds the state of the sources. Call it once.
func (m *Metrics) Watch(s Sources) {
	m.total("calleridp_store_commits_total",
		"Durable commits of the store.",
		func() float64 { return float64(s.Store().Commits) })
	m.total("calleridp_store_failed_commits_total",
		"Commits that failed: the disk is full or broken, or the file was moved away. After one, /readyz responds with 503 until a commit succeeds.",
		func() float64 { return float64(s.Store().Failures) })
	m.total("calleridp_store_operations_total",
		"Write operations in those commits.",
		func() float64 { return float64(s.Store().Operations) })
	m.gauge("calleridp_store_bytes",
		"Size of the store's file.",
		func() float64 { return float64(s.Store().Bytes) }, nil)
	m.gauge("calleridp_inbox_deliveries",
		"Callbacks in the inbox that are not processed yet.",
		func() float64 { return orNaN(s.Inbox) }, nil)
	m.gauge("calleridp_live_attempts",
		"Attempts in this process's memory: those under way, and those with an open page.",
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
	m.registry.MustRegister(breakers{s.Breakers})
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
