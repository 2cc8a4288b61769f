package metrics

import (
	"context"
	"math"
	"time"

	"calleridp/storage/bolt"
	"calleridp/truecaller"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are asked for their state each time that somebody looks.
type Sources struct {
	Store    func() bolt.Stats
	Inbox    func(context.Context) (int, error) // callbacks whose work is not done
	Attempts func() int                         // attempts that this process remembers
	Pages    func() int                         // pages that wait for one
	Breakers func() []truecaller.Breaker
}

// Watch adds the state of the sources. It is called once.
func (m *Metrics) Watch(s Sources) {
	m.total("calleridp_store_commits_total", "Durable commits of the store.", func() float64 { return float64(s.Store().Commits) })
	m.total("calleridp_store_operations_total", "Operations that wrote something in them.", func() float64 { return float64(s.Store().Operations) })
	m.gauge("calleridp_store_bytes", "Size of the store's file.", func() float64 { return float64(s.Store().Bytes) }, nil)
	m.gauge("calleridp_inbox_deliveries", "Callbacks in the inbox, whose work is not done.", func() float64 { return count(s.Inbox) }, nil)
	m.gauge("calleridp_live_attempts", "Attempts that this process remembers: that have not ended, or that a page is open for.", func() float64 { return float64(s.Attempts()) }, nil)
	m.gauge("calleridp_waiting_pages", "Browser pages that wait with a live connection.", func() float64 { return float64(s.Pages()) }, nil)
	m.registry.MustRegister(breakers{s.Breakers})
}

// count is a number that cannot always be had.
func count(of func(context.Context) (int, error)) float64 {
	ctx, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	n, err := of(ctx)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

// breakers shows the state of each circuit breaker.
type breakers struct{ all func() []truecaller.Breaker }

var breakerState = prometheus.NewDesc("calleridp_truecaller_breaker",
	"1 for the state in which a circuit breaker is, 0 for the others: closed, open, half_open.", []string{"purpose", "host", "state"}, nil)

func (b breakers) Describe(descs chan<- *prometheus.Desc) { descs <- breakerState }

func (b breakers) Collect(values chan<- prometheus.Metric) {
	for _, one := range b.all() {
		for _, state := range []truecaller.BreakerState{truecaller.BreakerClosed, truecaller.BreakerOpen, truecaller.BreakerHalfOpen} {
			value := 0.0
			if one.State == state {
				value = 1
			}
			values <- prometheus.MustNewConstMetric(breakerState, prometheus.GaugeValue, value, string(one.Purpose), one.Host, string(state))
		}
	}
}
